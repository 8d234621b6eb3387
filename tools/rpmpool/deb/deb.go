// Package deb reads Debian binary packages: the fields of the control file, the
// list of configuration files, and the files themselves. It follows deb(5) and
// deb-control(5); maintainer scripts are ignored.
package deb

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"pault.ag/go/debian/control"
	"pault.ag/go/debian/dependency"
	"pault.ag/go/debian/version"

	"github.com/nestos/nosa-actions/internal/tool"
)

// maxControl bounds the unpacked control archive, which holds a few small texts.
const maxControl = 64 << 20

// Control holds the fields of the control file that matter to a conversion.
type Control struct {
	Package      string
	Source       string // name, perhaps followed by a version in brackets
	Version      version.Version
	Architecture string
	Section      string
	Homepage     string
	Description  string // the summary line, then the indented text

	Depends    dependency.Dependency
	PreDepends dependency.Dependency `control:"Pre-Depends"`
	Recommends dependency.Dependency
	Provides   dependency.Dependency
	Conflicts  dependency.Dependency
}

// Package is a Debian package file whose control part has been read.
type Package struct {
	Path      string
	Digest    string // sha256 of the whole file, in hex
	Control   Control
	Conffiles map[string]bool // absolute paths

	data string // name of the member that holds the files
}

// Open reads the control part of the package at path and takes its digest.
func Open(path string) (*Package, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, f)
	if err != nil {
		return nil, err
	}
	p, err := read(f, size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	p.Path = path
	p.Digest = hex.EncodeToString(sum.Sum(nil))
	return p, nil
}

func read(r io.ReaderAt, size int64) (*Package, error) {
	all, err := members(r, size)
	if err != nil {
		return nil, err
	}
	p := &Package{Conffiles: map[string]bool{}}
	var seen bool
	for _, m := range all {
		switch base, _, _ := strings.Cut(m.name, ".tar"); base {
		case "control":
			seen = true
			if err := p.readControl(m); err != nil {
				return nil, fmt.Errorf("%s: %w", m.name, err)
			}
		case "data":
			p.data = m.name
		}
	}
	switch {
	case !seen:
		return nil, errors.New("no control archive inside")
	case p.data == "":
		return nil, errors.New("no data archive inside")
	case p.Control.Package == "" || p.Control.Version.Version == "" || p.Control.Architecture == "":
		return nil, errors.New("the control file lacks Package, Version or Architecture")
	}
	return p, nil
}

func (p *Package) readControl(m member) error {
	plain, err := decompress(m.name, m.data)
	if err != nil {
		return err
	}
	defer plain.Close()
	archive := tar.NewReader(io.LimitReader(plain, maxControl))
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch path.Clean("/" + h.Name) {
		case "/control":
			if err := control.Unmarshal(&p.Control, archive); err != nil {
				return fmt.Errorf("control file: %w", err)
			}
		case "/conffiles":
			text, err := io.ReadAll(archive)
			if err != nil {
				return err
			}
			p.addConffiles(string(text))
		}
	}
}

// addConffiles reads one path a line; a line may carry a flag before the path.
func (p *Package) addConffiles(text string) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "remove-on-upgrade" {
			continue
		}
		p.Conffiles[words[len(words)-1]] = true
	}
}

// Files reads the package's files into memory, in the order of the archive. An
// xz archive is unpacked by the xz program.
func (p *Package) Files(ctx context.Context, r tool.Runner) ([]File, error) {
	f, err := os.Open(p.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	all, err := members(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Path, err)
	}
	for _, m := range all {
		if m.name != p.data {
			continue
		}
		files, err := readFiles(ctx, r, m)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", p.Path, m.name, err)
		}
		return files, nil
	}
	return nil, fmt.Errorf("%s: %s is gone", p.Path, p.data)
}

func readFiles(ctx context.Context, r tool.Runner, m member) ([]File, error) {
	if !strings.HasSuffix(m.name, ".xz") {
		plain, err := decompress(m.name, m.data)
		if err != nil {
			return nil, err
		}
		defer plain.Close()
		return untar(plain)
	}
	out, in := io.Pipe()
	unpacked := make(chan error, 1)
	go func() {
		_, err := r.Run(ctx, tool.Cmd{
			Name: "xz", Args: []string{"--decompress", "--stdout"},
			Stdin: m.data, Stdout: in,
		})
		in.CloseWithError(err)
		unpacked <- err
	}()
	files, err := untar(out)
	if err == nil {
		_, err = io.Copy(io.Discard, out) // what pads the archive
	}
	out.Close()
	if xz := <-unpacked; err == nil {
		err = xz
	}
	return files, err
}
