// Package ostreetar writes and reads the tar layers of the OSTree container
// format, version 1. A layer is at once a file system for container tools and a
// piece of an OSTree repository: objects lie under sysroot/ostree/repo in the
// repository mode bare-split-xattrs, and each path of the tree is a hard link to
// its object.
//
// The rules that an importer relies on:
//   - the first member that is neither a directory nor the repository's config
//     is the commit object, in the first layer, then its detached metadata;
//   - all dirtree and dirmeta objects are in the first layer;
//   - before a content object stand its extended attributes, as
//     CHECKSUM.file-xattrs, once in a layer, and a hard link to them named
//     CHECKSUM.file-xattrs-link after the object; the link carries them even if
//     there are none;
//   - modes are without the file type, all times are 0;
//   - /usr/etc of the tree is /etc in the layer;
//   - an empty file is a member of its own, not a hard link: container tools
//     that write to one would change them all.
//
// Format: the behaviour of the tar and container modules of ostree-rs-ext
// (ostreedev/ostree-rs-ext, now part of bootc-dev/bootc), and bare-split-xattrs
// in libostree.
package ostreetar

import (
	"fmt"
	"strings"

	"github.com/nestos/nosa-actions/internal/format/ostreerepo"
)

const (
	repoDir   = "sysroot/ostree/repo/"
	objectDir = repoDir + "objects/"

	// Suffixes of members beside those of ostreerepo's kinds.
	xattrsKind     = ostreerepo.Kind("file-xattrs")
	xattrsLinkKind = ostreerepo.Kind("file-xattrs-link")

	repoConfig = "[core]\nrepo_version=1\nmode=bare-split-xattrs\n"
)

// objectPath is the member's name for an object.
func objectPath(kind ostreerepo.Kind, sum ostreerepo.Checksum) string {
	hex := sum.String()
	return objectDir + hex[:2] + "/" + hex[2:] + "." + string(kind)
}

// parseObjectPath does the reverse. ok is false for what is no object at all.
func parseObjectPath(name string) (kind ostreerepo.Kind, sum ostreerepo.Checksum, ok bool, err error) {
	name, ok = strings.CutPrefix(strings.TrimPrefix(name, "./"), objectDir)
	if !ok {
		return "", sum, false, nil
	}
	shard, base, _ := strings.Cut(name, "/")
	stem, suffix, _ := strings.Cut(base, ".")
	if len(shard) == 2 {
		sum, err = ostreerepo.ParseChecksum(shard + stem)
	}
	if len(shard) != 2 || err != nil {
		return "", sum, false, fmt.Errorf("%.200q is not the path of an object", name)
	}
	return ostreerepo.Kind(suffix), sum, true, nil
}

// LayerPath is the name in a layer of an absolute path of the tree: without the
// slash in front, and with /usr/etc as etc.
func LayerPath(path string) string {
	path = strings.TrimPrefix(path, "/")
	if path == "usr/etc" || strings.HasPrefix(path, "usr/etc/") {
		path = strings.TrimPrefix(path, "usr/")
	}
	return path
}
