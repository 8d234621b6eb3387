// Package own holds the packages that no Debian package stands for: the merged
// file system tree, and what Debian's maintainer scripts would have made. Each is
// a directory here: package.yaml says what it is, root/ holds its files.
package own

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/nestos/nosa-actions/tools/rpmpool/convert"
	"github.com/nestos/nosa-actions/tools/rpmpool/deb"
)

//go:embed all:filesystem all:nestos-debian-base
var content embed.FS

// description is a package.yaml.
type description struct {
	Version string
	Release string
	Summary string
	Text    string `yaml:"description"`

	Requires  []string
	Provides  []string
	Conflicts []string

	Directories []string          // PATH, or PATH MODE
	Links       map[string]string // place: target
	Modes       map[string]string // path: mode of a file that is not 0644, or 0755 for a script
	Config      []string          // files that an update leaves alone

	Post      string
	Posttrans string
}

// built is the time of all our own files: a day of the Debian release they are
// made for.
var built = time.Date(2023, time.June, 10, 0, 0, 0, 0, time.UTC)

// Packages gives all packages, sorted by name.
func Packages() ([]convert.Input, error) {
	dirs, err := fs.ReadDir(content, ".")
	if err != nil {
		return nil, err
	}
	var all []convert.Input
	for _, dir := range dirs {
		in, err := load(content, dir.Name())
		if err != nil {
			return nil, fmt.Errorf("package %s: %w", dir.Name(), err)
		}
		all = append(all, in)
	}
	return all, nil
}

func load(from fs.FS, name string) (convert.Input, error) {
	text, err := fs.ReadFile(from, path.Join(name, "package.yaml"))
	if err != nil {
		return convert.Input{}, err
	}
	var d description
	strict := yaml.NewDecoder(bytes.NewReader(text))
	strict.KnownFields(true)
	if err := strict.Decode(&d); err != nil {
		return convert.Input{}, err
	}
	files, err := d.files(from, path.Join(name, "root"))
	if err != nil {
		return convert.Input{}, err
	}
	evr := convert.EVR{Version: d.Version, Release: d.Release}
	in := convert.Input{
		Name: name, Arch: "noarch", EVR: evr, Source: name,
		Summary: d.Summary, Text: strings.TrimSpace(d.Text), Licence: "Apache-2.0", Vendor: "nosa-actions",
		Files: files, Post: d.Post, Posttrans: d.Posttrans, Config: map[string]bool{},
		Relations: convert.Relations{
			Requires: d.Requires, Conflicts: d.Conflicts,
			Provides: append([]string{name + " = " + evr.String()}, d.Provides...),
		},
	}
	if name != convert.Filesystem {
		in.Relations.Requires = append([]string{convert.Filesystem}, d.Requires...)
	}
	for _, file := range d.Config {
		in.Config[file] = true
	}
	return in, nil
}

// files gathers the files below root and those that are only named.
func (d description) files(from fs.FS, root string) ([]deb.File, error) {
	files, err := tree(from, root)
	if err != nil {
		return nil, err
	}
	for _, line := range d.Directories {
		name, octal, _ := strings.Cut(line, " ")
		mode, err := permissions(octal, 0o755)
		if err != nil {
			return nil, fmt.Errorf("directory %s: %w", name, err)
		}
		files = append(files, file(deb.File{Name: name, Kind: deb.Directory, Mode: mode}))
	}
	for name, target := range d.Links {
		files = append(files, file(deb.File{Name: name, Kind: deb.Symlink, Mode: 0o777, Target: target}))
	}
	slices.SortFunc(files, func(a, b deb.File) int { return strings.Compare(a.Name, b.Name) })
	for name, octal := range d.Modes {
		i, ok := slices.BinarySearchFunc(files, name, func(f deb.File, name string) int { return strings.Compare(f.Name, name) })
		if !ok {
			return nil, fmt.Errorf("mode of %s: no such file", name)
		}
		if files[i].Mode, err = permissions(octal, 0); err != nil {
			return nil, fmt.Errorf("mode of %s: %w", name, err)
		}
	}
	return files, nil
}

// tree reads the files below root. Directories come with the packages that own
// them, so only files are taken; a script is executable.
func tree(from fs.FS, root string) ([]deb.File, error) {
	var files []deb.File
	err := fs.WalkDir(from, root, func(name string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && name == root {
			return fs.SkipAll
		}
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		mode := uint(0o644)
		if bytes.HasPrefix(body, []byte("#!")) {
			mode = 0o755
		}
		files = append(files, file(deb.File{Name: strings.TrimPrefix(name, root), Mode: mode, Body: body}))
		return nil
	})
	return files, err
}

func file(f deb.File) deb.File {
	f.Owner, f.Group, f.ModTime = "root", "root", built
	return f
}

func permissions(octal string, usual uint) (uint, error) {
	if octal == "" {
		return usual, nil
	}
	mode, err := strconv.ParseUint(octal, 8, 12)
	if err != nil {
		return 0, fmt.Errorf("mode %q is not octal", octal)
	}
	return uint(mode), nil
}
