package inspect

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/format/ostreerepo"
	"github.com/nestos/nosa-actions/internal/format/xfs"
	"github.com/nestos/nosa-actions/internal/ostree"
)

// content holds the deployment against its commit: every directory, every name
// and every byte.
func (i *inspector) content(root, tree files, commit *ostree.Commit) {
	if commit == nil {
		return
	}
	c := &comparison{i: i, root: root, tree: tree}
	sum := i.img.Deployment.Commit
	text, err := root.text("/ostree/repo/objects/" + sum[:2] + "/" + sum[2:] + ".commit")
	if err != nil {
		return // told by commit
	}
	parsed, err := ostreerepo.ParseCommit(text)
	if err != nil {
		return
	}
	c.dir("/", parsed.Tree, parsed.Meta, 0)
	if c.wrong > maxNamed {
		i.bad("deployment", "%d more files are not as the commit has them", c.wrong-maxNamed)
	}
}

// comparison walks over a commit and the deployment of it at once.
type comparison struct {
	i          *inspector
	root, tree files
	wrong      int
}

func (c *comparison) bad(name, format string, args ...any) {
	if c.wrong++; c.wrong <= maxNamed {
		c.i.bad("deployment:"+name, format, args...)
	}
}

// object reads an object of the repository that describes others, and holds it
// against its name.
func (c *comparison) object(sum ostreerepo.Checksum, kind ostreerepo.Kind) ([]byte, bool) {
	name := sum.String()
	at := "/ostree/repo/objects/" + name[:2] + "/" + name[2:] + "." + string(kind)
	text, err := c.root.text(at)
	if err != nil {
		c.i.bad("root:"+at, "an object of the commit: %s", plainError(err))
		return nil, false
	}
	if !sum.Fits(text) {
		c.i.bad("root:"+at, "an object of the commit is damaged")
		return nil, false
	}
	return text, true
}

// maxDepth bounds directories in directories. Those of a damaged file system may
// lead back into themselves, and every level makes the names longer.
const maxDepth = 128

// tooDeep notes that a directory is not looked into.
func (i *inspector) tooDeep(name string) {
	i.bad("deployment:"+name[:min(len(name), 200)], "lies more than %d directories deep; it was not looked at", maxDepth)
}

func (c *comparison) dir(name string, sum, meta ostreerepo.Checksum, depth int) {
	if depth > maxDepth {
		c.i.tooDeep(name)
		return
	}
	if !c.i.mayWalk() {
		return
	}
	text, whole := c.object(sum, ostreerepo.KindDirtree)
	about, known := c.object(meta, ostreerepo.KindDirmeta)
	if !whole || !known {
		return
	}
	listed, err := ostreerepo.ParseDirtree(text)
	if err != nil {
		c.bad(name, "the commit cannot be read: %v", err)
		return
	}
	have, err := c.tree.entries(name)
	if err != nil {
		c.bad(name, "%s", plainError(err))
		return
	}
	if m, err := ostreerepo.ParseDirmeta(about); err == nil && depth > 0 {
		c.owner(name, m)
	}
	find := func(name string) (info, bool) {
		k, found := slices.BinarySearchFunc(have, name, func(i info, name string) int { return strings.Compare(i.Name, name) })
		if !found {
			return info{}, false
		}
		return have[k], true
	}
	for _, f := range listed.Files {
		at := path.Join(name, f.Name)
		i, found := find(f.Name)
		switch {
		case !found:
			c.bad(at, "is missing; the commit has it")
		case !i.regular() && !i.link():
			c.bad(at, "is no file; the commit has one")
		default:
			c.file(at, i, f.Checksum)
		}
	}
	for _, d := range listed.Dirs {
		at := path.Join(name, d.Name)
		if i, found := find(d.Name); !found || !i.Mode.IsDir() {
			c.bad(at, "is missing; the commit has a directory there")
			continue
		}
		c.dir(at, d.Tree, d.Meta, depth+1)
	}
	c.strangers(name, have, listed)
}

// strangers finds what the commit does not have. The deployment's own /etc is a
// copy that other checks look at.
func (c *comparison) strangers(name string, have []info, listed *ostreerepo.Dirtree) {
	known := map[string]bool{}
	for _, f := range listed.Files {
		known[f.Name] = true
	}
	for _, d := range listed.Dirs {
		known[d.Name] = true
	}
	for _, i := range have {
		if !known[i.Name] && (name != "/" || (i.Name != "etc" && i.Name != ".ostree.cfs")) {
			c.bad(path.Join(name, i.Name), "is not in the commit")
		}
	}
}

// owner compares what a directory says of itself.
func (c *comparison) owner(name string, want *ostreerepo.Dirmeta) {
	i, err := c.tree.lstat(name)
	if err != nil {
		return
	}
	known := uint32(0o7777)
	if c.permissionsOnly() {
		known = 0o777
	}
	if got := unixMode(i); got&known != want.Mode&known || i.UID != want.UID || i.GID != want.GID {
		c.bad(name, "is %04o %d:%d; the commit has %04o %d:%d", got&known, i.UID, i.GID, want.Mode&known, want.UID, want.GID)
	}
}

// unixMode is the mode as stat(2) has it.
func unixMode(i info) uint32 {
	mode := uint32(i.Mode.Perm())
	for is, bit := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if i.Mode&is != 0 {
			mode |= bit
		}
	}
	switch {
	case i.link():
		return ostreerepo.LinkMode
	case i.regular():
		return ostreerepo.FileMode(mode)
	}
	return mode
}

// file computes the checksum of a file with its owner, mode and attributes.
func (c *comparison) file(name string, i info, want ostreerepo.Checksum) {
	h := ostreerepo.Header{UID: i.UID, GID: i.GID, Mode: unixMode(i), Target: i.Target}
	if reader, ok := c.tree.reader.(attributed); ok {
		attrs, err := reader.xattrs(i)
		if errors.Is(err, xfs.ErrElsewhere) {
			return // the checksum covers what cannot be read
		}
		if err != nil {
			c.bad(name, "%v", err)
			return
		}
		var list []ostreerepo.Xattr
		for key, value := range attrs {
			if strings.HasPrefix(key, "system.posix_acl") || strings.HasPrefix(key, "trusted.SGI_ACL") {
				return // each file system writes these in its own way
			}
			list = append(list, ostreerepo.Xattr{Name: key, Value: value})
		}
		h.Xattrs = ostreerepo.EncodeXattrs(list)
	}
	for _, special := range c.specials(i) {
		h.Mode = unixMode(i) | special
		got, err := c.checksum(name, i, h)
		if err != nil {
			c.bad(name, "cannot be read: %v", err)
			return
		}
		if got == want.String() {
			return
		}
	}
	c.bad(name, "is not as the commit has it: content, owner, mode or attributes differ")
}

// permissionsOnly tells that the reader knows nothing of setuid, setgid and sticky
// bits: go-diskfs leaves them out.
func (c *comparison) permissionsOnly() bool {
	_, squash := c.tree.reader.(*squashFiles)
	return squash
}

// specials are the bits that a file may have beside what is known of its mode.
func (c *comparison) specials(i info) []uint32 {
	if !c.permissionsOnly() || !i.regular() || i.Mode&0o111 == 0 {
		return []uint32{0}
	}
	return []uint32{0, 0o4000, 0o2000, 0o6000}
}

func (c *comparison) checksum(name string, i info, h ostreerepo.Header) (string, error) {
	sum := h.NewHash()
	if !i.regular() {
		return fmt.Sprintf("%x", sum.Sum(nil)), nil
	}
	err := c.tree.read(name, i, func(in io.Reader) error {
		_, err := io.Copy(sum, in)
		return err
	})
	return fmt.Sprintf("%x", sum.Sum(nil)), err
}
