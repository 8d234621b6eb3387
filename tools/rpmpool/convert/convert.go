// Package convert turns Debian packages into RPM packages with the same names,
// versions, relations, files, modes and owners, on a merged /usr. What Debian's
// maintainer scripts would do is not converted; the pool's own packages do it.
package convert

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/google/rpmpack"

	"github.com/nestos/nosa-actions/tools/rpmpool/deb"
)

// Version counts changes of what this package writes. It is part of every cache
// key, so raise it with each of them.
const Version = 2

const (
	tagSourceRPM = 1044 // rpmpack names the package itself as its source
	tagFileLangs = 1097 // rpmpack leaves the languages empty
	senseScript  = 1 << 9
)

// Input is what one RPM is made of.
type Input struct {
	Name, Arch      string
	EVR             EVR
	Source          string // name of the source package
	Summary, Text   string
	Section, URL    string
	Licence, Vendor string
	Relations       Relations
	Files           []deb.File
	Config          map[string]bool // paths that are kept when changed
	Post, Posttrans string          // scriptlets for /bin/sh
}

// Key names what FromDeb makes of the package: equal keys, equal bytes.
func (x *Index) Key(p *deb.Package, rel Relations) (string, error) {
	parts, err := json.Marshal([]any{Version, p.Digest, rel, x.base})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(parts)
	return hex.EncodeToString(sum[:]), nil
}

// FromDeb gives the RPM of a Debian package with the files that Files read. The
// base directories are left out: RPM wants all owners of a directory to agree on
// its mode, and Filesystem has them already.
func (x *Index) FromDeb(p *deb.Package, rel Relations, files []deb.File) Input {
	files = slices.DeleteFunc(layout(files), func(f deb.File) bool {
		return f.Kind == deb.Directory && x.base[f.Name]
	})
	c := p.Control
	summary, text := description(c.Description)
	source, _, _ := strings.Cut(c.Source, " ")
	if source == "" {
		source = c.Package
	}
	config := map[string]bool{}
	for name := range p.Conffiles {
		config[mergeUsr(name)] = true
	}
	return Input{
		Name: c.Package, Arch: Arch(c.Architecture), EVR: NewEVR(c.Version), Source: source,
		Summary: summary, Text: text, Section: c.Section, URL: c.Homepage,
		Licence: licence(files, c.Package), Vendor: "Debian",
		Relations: rel, Files: files, Config: config,
	}
}

// FileName is NAME-VERSION-RELEASE.ARCH.rpm.
func (in Input) FileName() string {
	return fmt.Sprintf("%s-%s-%s.%s.rpm", in.Name, in.EVR.Version, in.EVR.Release, in.Arch)
}

// Write writes the RPM. The same input gives the same bytes: the build time is
// that of the newest file.
func (in Input) Write(w io.Writer) error {
	files := slices.Clone(in.Files)
	slices.SortFunc(files, func(a, b deb.File) int { return strings.Compare(a.Name, b.Name) })
	out, err := rpmpack.NewRPM(rpmpack.RPMMetaData{
		Name: in.Name, Arch: in.Arch, Version: in.EVR.Version, Release: in.EVR.Release, Epoch: epoch(in.EVR),
		Summary: in.Summary, Description: in.Text, Group: in.Section, URL: in.URL,
		Licence: in.Licence, Vendor: in.Vendor, BuildTime: newest(files), Compressor: "zstd:1",
	})
	if err != nil {
		return err
	}
	if err := in.relate(out); err != nil {
		return err
	}
	var langs []string
	for _, f := range files {
		if f.Name == "/" {
			continue
		}
		out.AddFile(in.rpmFile(f))
		langs = append(langs, language(f.Name))
	}
	if len(langs) > 0 {
		out.AddCustomTag(tagFileLangs, rpmpack.EntryStringSlice(langs))
	}
	out.AddCustomTag(tagSourceRPM, rpmpack.EntryString(
		fmt.Sprintf("%s-%s-%s.src.rpm", in.Source, in.EVR.Version, in.EVR.Release)))
	if in.Post != "" {
		out.AddPostin(in.Post)
	}
	if in.Posttrans != "" {
		out.AddPosttrans(in.Posttrans)
	}
	return out.Write(w)
}

// relate sets the relations. The provide of the package itself comes from us:
// rpmpack's lacks the epoch.
func (in Input) relate(out *rpmpack.RPM) error {
	out.Provides = nil
	for _, part := range []struct {
		to   *rpmpack.Relations
		from []string
	}{
		{&out.Provides, in.Relations.Provides},
		{&out.Requires, in.Relations.Requires},
		{&out.Recommends, in.Relations.Recommends},
		{&out.Conflicts, in.Relations.Conflicts},
	} {
		for _, text := range part.from {
			if err := part.to.Set(text); err != nil {
				return fmt.Errorf("relation %q: %w", text, err)
			}
		}
	}
	for _, r := range out.Requires {
		if r.Name == Filesystem || in.Post != "" || in.Posttrans != "" {
			r.Sense |= senseScript // must be there before this package
		}
	}
	return nil
}

func (in Input) rpmFile(f deb.File) rpmpack.RPMFile {
	out := rpmpack.RPMFile{
		Name: f.Name, Body: f.Body, Mode: f.Mode, Owner: f.Owner, Group: f.Group,
		MTime: uint32(f.ModTime.Unix()), Type: in.fileType(f),
	}
	switch f.Kind {
	case deb.Directory:
		out.Mode |= 0o040000
	case deb.Symlink:
		out.Mode |= 0o120000
		out.Body = []byte(f.Target)
	case deb.Regular:
		out.Mode |= 0o100000
	}
	return out
}

func (in Input) fileType(f deb.File) rpmpack.FileType {
	if f.Kind == deb.Directory {
		return rpmpack.GenericFile
	}
	if in.Config[f.Name] {
		return rpmpack.ConfigFile | rpmpack.NoReplaceFile
	}
	if path.Base(f.Name) == "copyright" && strings.HasPrefix(f.Name, "/usr/share/doc/") {
		return rpmpack.LicenceFile
	}
	for _, dir := range []string{"/usr/share/doc/", "/usr/share/man/", "/usr/share/info/", "/usr/share/lintian/"} {
		if strings.HasPrefix(f.Name, dir) {
			return rpmpack.DocFile
		}
	}
	return rpmpack.GenericFile
}

// language is that of a message catalogue, so that rpm can leave it out.
func language(name string) string {
	rest, ok := strings.CutPrefix(name, "/usr/share/locale/")
	lang, rest, deeper := strings.Cut(rest, "/")
	if !ok || !deeper || !strings.HasPrefix(rest, "LC_MESSAGES/") {
		return ""
	}
	return lang
}

// description splits Debian's description into the summary and the text, which
// is indented by one blank, with " ." for an empty line.
func description(field string) (summary, text string) {
	summary, rest, _ := strings.Cut(field, "\n")
	var lines []string
	for line := range strings.Lines(rest) {
		line = strings.TrimPrefix(strings.TrimRight(line, "\n"), " ")
		if line == "." {
			line = ""
		}
		lines = append(lines, line)
	}
	if text = strings.TrimSpace(strings.Join(lines, "\n")); text == "" {
		text = summary
	}
	return summary, text
}

func newest(files []deb.File) time.Time {
	at := time.Unix(1, 0)
	for _, f := range files {
		if f.ModTime.After(at) {
			at = f.ModTime
		}
	}
	return at
}

func epoch(e EVR) uint32 {
	if e.Epoch == 0 {
		return rpmpack.NoEpoch
	}
	return uint32(e.Epoch)
}
