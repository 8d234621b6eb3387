package oci

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/nestos/nosa-actions/internal/atomicfile"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Transport is a kind of place for images that is no registry.
type Transport string

// The places that Save knows.
const (
	Dir           Transport = "dir"            // a directory of blobs, as skopeo's dir:
	DockerArchive Transport = "docker-archive" // a file for docker load
	OCIArchive    Transport = "oci-archive"    // a copy of the archive
	Podman        Transport = "podman"         // this machine's container storage, through skopeo
	DockerDaemon  Transport = "docker"         // the docker daemon, through skopeo
)

// Transports lists all of them.
var Transports = []Transport{Dir, DockerArchive, OCIArchive, Podman, DockerDaemon}

// Save puts the image of an archive where the transport says. The place is
// NAME:TAG; as a directory it has this very name, as a file the name without the
// tag. Files appear whole.
func Save(ctx context.Context, r tool.Runner, archive string, to Transport, place string, f Format) error {
	file, _ := SplitTag(place)
	var err error
	switch to {
	case Dir:
		err = saveDir(archive, place, f)
	case DockerArchive:
		err = saveDockerArchive(archive, file, place)
	case OCIArchive:
		err = copyFile(archive, file)
	case Podman:
		err = skopeo(ctx, r, archive, "containers-storage:"+place, f)
	case DockerDaemon:
		err = skopeo(ctx, r, archive, "docker-daemon:"+place, Docker)
	default:
		return fmt.Errorf("unknown transport %q; there are registry, %s", to, transports())
	}
	if err != nil {
		return fmt.Errorf("put the image to %s:%s: %w", to, place, err)
	}
	return nil
}

func transports() string {
	var names []string
	for _, t := range Transports {
		names = append(names, string(t))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// SplitTag cuts NAME:TAG; a colon before the last slash is of a registry's port.
func SplitTag(reference string) (name, tag string) {
	if i := strings.LastIndexByte(reference, ':'); i > strings.LastIndexByte(reference, '/') {
		return reference[:i], reference[i+1:]
	}
	return reference, ""
}

// dirVersion is the content of the file "version" of skopeo's dir transport.
const dirVersion = "Directory Transport Version: 1.1\n"

// saveDir writes blobs under their digests. It refuses a directory in use.
func saveDir(archive, dir string, f Format) (err error) {
	img, err := openImage(archive, f)
	if err != nil {
		return err
	}
	defer img.Close()
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(filepath.Dir(dir), ".image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	if err := os.Chmod(scratch, 0o755); err != nil {
		return err
	}
	for hash, blob := range img.core.blobs {
		r, err := blob.Compressed()
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(scratch, hash.Hex), r); err != nil {
			return err
		}
	}
	for name, data := range map[string][]byte{"manifest.json": img.core.manifest, "version": []byte(dirVersion)} {
		if err := writeFile(filepath.Join(scratch, name), bytes.NewReader(data)); err != nil {
			return err
		}
	}
	return os.Rename(scratch, dir)
}

func writeFile(path string, r io.Reader) error {
	return atomicfile.WriteFrom(path, 0o644, func(w io.Writer) error {
		_, err := io.Copy(w, r)
		return err
	})
}

// saveDockerArchive names the image in the archive after the last part of place.
func saveDockerArchive(archive, file, place string) error {
	tag, err := name.NewTag(filepath.Base(place))
	if err != nil {
		return err
	}
	img, err := openImage(archive, OCI)
	if err != nil {
		return err
	}
	defer img.Close()
	return atomicfile.WriteFrom(file, 0o644, func(w io.Writer) error { return tarball.Write(tag, img, w) })
}

func copyFile(from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	return writeFile(to, f)
}

// skopeo copies to storage that belongs to other programs.
func skopeo(ctx context.Context, r tool.Runner, archive, destination string, f Format) error {
	_, err := r.Run(ctx, tool.Cmd{Name: "skopeo", Args: []string{
		"copy", "--quiet", "--format=" + string(f), "oci-archive:" + archive, destination,
	}})
	return err
}
