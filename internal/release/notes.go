package release

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"text/template"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/compression"
	"github.com/nestos/nosa-actions/internal/report"
)

// Text is foreign text: printed by a template it is plain text on one line,
// whatever Markdown, HTML, links or mentions it was meant to be.
type Text string

func (t Text) String() string { return report.Text(string(t)) }

// Notes is what a template for release notes has to work with.
type Notes struct {
	Name, Version, Build, Tag, Stream, Summary Text
	Revision                                   Text   // of the config, as git describes it
	Date                                       string // YYYY-MM-DD, of the build
	Prerelease                                 bool
	Downloads                                  string // URL that the names of assets are below
	Repository                                 string // OWNER/NAME
	Server                                     string // URL of GitHub
	Previous                                   Text   // tag of the release compared with; empty if none
	Signed                                     bool   // there are detached signatures
	Attested                                   bool   // the workflow attests where the assets come from
	Split                                      bool   // at least one image is split
	Arches                                     []NotesArch
}

// NotesArch is one architecture.
type NotesArch struct {
	Arch        string // rpm name
	Commit, Ref Text
	Packages    int // installed ones
	Compared    bool
	Changes     []NotesChange
	MoreChanges int // changes that are not in Changes
	Images      []NotesImage
}

// NotesChange is a package that changed.
type NotesChange struct {
	Package Text
	What    string // "added", "removed", "upgraded", "downgraded"
	Before  Text
	Now     Text
}

// NotesImage is an image.
type NotesImage struct {
	Artifact Text     // as in meta.json, such as "qemu"
	Name     string   // of the asset
	Parts    []string // names of the assets if it is split
	Size     string   // for people, such as "574 MB"
	Unpacked string   // size when decompressed, "" if it is not compressed
	SHA256   string
	Boot     string // commands that boot it, lines; "" if nobody boots it by itself
}

// maxChanges keeps the notes below what GitHub takes.
const maxChanges = 200

//go:embed notes.md.tmpl
var ownTemplate string

// notesTemplate reads the template of a file, or is our own for "".
func notesTemplate(path string) (*template.Template, error) {
	text, name := ownTemplate, "notes"
	if path != "" {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, refuse("there is no template for the release notes at %s", "name a file of the repository, or none for the notes of our own", path)
		}
		if err != nil {
			return nil, err
		}
		text, name = string(data), path
	}
	t, err := template.New(name).Funcs(template.FuncMap{"join": strings.Join}).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, refuse("the template for the release notes is wrong: %v", "see the package text/template of Go for its language", err)
	}
	// Tried on nothing: a field that does not exist shows before hours of work.
	if _, err := words(t, Notes{Arches: []NotesArch{{Images: []NotesImage{{}}, Changes: []NotesChange{{}}}}}); err != nil {
		return nil, err
	}
	return t, nil
}

func words(t *template.Template, n Notes) (string, error) {
	var b strings.Builder
	if err := t.Execute(&b, n); err != nil {
		return "", refuse("the template for the release notes fails: %v", "the fields that there are stand in docs/recipes/release.md", err)
	}
	return b.String(), nil
}

func size(n int64) string { return report.Size(n) }

// notes gathers what there is to say.
func (c *collector) notes() Notes {
	first := c.sources[0].meta
	n := Notes{
		Name: Text(first.Name), Version: Text(first.OSTreeVersion), Build: Text(c.id), Tag: Text(c.Tag), Stream: Text(c.stream),
		Summary: Text(first.Summary), Revision: Text(first.ConfigGitrev), Date: c.built.Format("2006-01-02"),
		Prerelease: c.prerelease, Downloads: c.downloads(), Repository: c.Owner + "/" + c.Repo, Server: c.Server,
		Previous: Text(c.PreviousTag), Signed: c.signer != nil, Attested: c.Attested,
	}
	for _, s := range c.sources {
		a := NotesArch{Arch: s.arch, Commit: Text(s.meta.OSTreeCommit), Ref: Text(s.meta.Ref), Packages: len(c.packages[s.arch])}
		changes, compared := c.changes[s.arch]
		a.Compared = compared
		for i, change := range changes {
			if i == maxChanges {
				a.MoreChanges = len(changes) - maxChanges
				break
			}
			a.Changes = append(a.Changes, change.notes())
		}
		for _, f := range c.files {
			if f.arch == s.arch && f.artifact != "" && f.artifact != "oci-manifest" {
				a.Images = append(a.Images, c.noted(f))
				n.Split = n.Split || len(f.parts) > 0
			}
		}
		n.Arches = append(n.Arches, a)
	}
	return n
}

func (c change) notes() NotesChange {
	n := NotesChange{Package: Text(c.name()), What: [...]string{"added", "removed", "upgraded", "downgraded"}[c.kind()]}
	if c.before != nil {
		n.Before = Text(c.before.EVR())
	}
	if c.after != nil {
		n.Now = Text(c.after.EVR())
	}
	return n
}

func (c *collector) noted(f *file) NotesImage {
	n := NotesImage{Artifact: Text(f.artifact), Name: f.name, Size: size(f.size), Unpacked: size(f.image.UncompressedSize), SHA256: f.sha256}
	if len(f.parts) > 0 {
		for _, s := range sections(f.name, f.path, "", f.digest, c.limits) {
			n.Parts = append(n.Parts, s.Name)
		}
	}
	n.Boot = boot(f.artifact, f.name, f.arch)
	return n
}

// unpackers undo compressions.
var unpackers = map[compression.Format]string{compression.Gzip: "gunzip", compression.Xz: "xz -d", compression.Zstd: "zstd -d --rm"}

// boot are the commands that boot an image. The names in them are those of
// assets, which a shell takes as they are.
func boot(artifact, name, rpmArch string) string {
	plain, unpack := name, ""
	if f, ok := compression.ByPath(name); ok {
		plain = strings.TrimSuffix(name, f.Extension())
		unpack = unpackers[f] + " " + name + "\n"
	}
	machine := "-machine q35,accel=kvm"
	if rpmArch == arch.AArch64.RPM {
		machine = "-machine virt,accel=kvm -bios /usr/share/qemu-efi-aarch64/QEMU_EFI.fd"
	}
	switch artifact {
	case "qemu":
		return unpack + fmt.Sprintf("qemu-system-%s %s -cpu host -m 2048 -nographic \\\n"+
			"  -drive if=virtio,format=qcow2,snapshot=on,file=%s \\\n  -fw_cfg name=opt/com.coreos/config,file=config.ign", clean(rpmArch), machine, plain)
	case "metal", "metal4k":
		return fmt.Sprintf("sudo coreos-installer install /dev/sdX --insecure --image-file %s --ignition-file config.ign", name)
	case "live-iso", "iso":
		return unpack + fmt.Sprintf("sudo dd if=%s of=/dev/sdX bs=4M oflag=direct status=progress", plain)
	case "openstack":
		return unpack + fmt.Sprintf("openstack image create --disk-format qcow2 --container-format bare --file %s %s", plain, plain)
	case "ostree":
		return fmt.Sprintf("sudo rpm-ostree rebase ostree-unverified-image:oci-archive:$PWD/%s", name)
	}
	return ""
}

// compare finds what changed since the release before, or, where that is not
// known, since the build before that the builder had at hand.
func (c *collector) compare() error {
	c.changes = map[string][]change{}
	if c.Previous == "" {
		return nil
	}
	for _, a := range slices.Sorted(maps.Keys(c.packages)) {
		before, err := readCommitMeta(previousFile(c.Previous, a))
		if err != nil {
			return err
		}
		if before.Packages != nil {
			c.changes[a] = diff(before.packages(), c.packages[a])
		}
	}
	return nil
}
