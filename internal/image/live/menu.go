package live

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// kargsToken stands in the config's boot menus for the kernel arguments.
const kargsToken = "@@KERNEL-ARGS@@"

// embedArea is the comment that ends a line of number signs under a command
// line: together they are room for tools that change the arguments in a finished
// ISO. Fedora's templates name it otherwise.
var embedArea = regexp.MustCompile(`^(#+)# (?:NESTOS|COREOS)_KARG_EMBED_AREA\s*\n`)

// kargsInfo is nestos/kargs.json: where in the ISO the kernel arguments stand.
type kargsInfo struct {
	Default string      `json:"default"`
	Files   []kargsFile `json:"files"`
	Size    int         `json:"size"` // of each area, in bytes
}

type kargsFile struct {
	End    string `json:"end"`    // what a tool writes after the arguments
	Offset int    `json:"offset"` // in the file, in bytes
	Pad    string `json:"pad"`    // what it fills the rest of the area with
	Path   string `json:"path"`
}

// copyConfig copies the config's files, with the kernel arguments put in, and
// describes what tools may change later.
func (b *builder) copyConfig(vendor string) error {
	info := kargsInfo{}
	menus, err := b.copyMenus(vendor, &info)
	if err != nil {
		return err
	}
	if menus == 0 {
		return fmt.Errorf("%s has no EFI/*/grub.cfg, which boots the ISO under UEFI", b.ConfigDir)
	}
	if _, err := os.Stat(filepath.Join(b.tree, "isolinux/isolinux.cfg")); err != nil && b.bios() {
		return fmt.Errorf("%s has no isolinux/isolinux.cfg, which boots the ISO under BIOS", b.ConfigDir)
	}
	if err := os.WriteFile(filepath.Join(b.tree, "images/ignition.img"), make([]byte, ignitionArea), 0o644); err != nil {
		return err
	}
	igninfo, err := prettyJSON(map[string]string{"file": "images/ignition.img"})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.tree, "nestos/igninfo.json"), igninfo, 0o644); err != nil {
		return err
	}
	if len(info.Files) == 0 {
		return nil
	}
	slices.SortFunc(info.Files, func(x, y kargsFile) int { return strings.Compare(x.Path, y.Path) })
	text, err := prettyJSON(info)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.tree, "nestos/kargs.json"), text, 0o644)
}

// ignitionArea is the room for an Ignition config in a finished ISO, in bytes.
const ignitionArea = 262144

// copyMenus copies the files and returns how many GRUB menus there were.
func (b *builder) copyMenus(vendor string, info *kargsInfo) (menus int, err error) {
	err = filepath.WalkDir(b.ConfigDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(b.ConfigDir, path)
		if err != nil || name == "." || name == "README-devel.md" {
			return err
		}
		if parts := strings.Split(name, "/"); parts[0] == "EFI" && len(parts) > 1 {
			parts[1] = vendor
			name = strings.Join(parts, "/")
			if len(parts) == 3 && parts[2] == "grub.cfg" {
				menus++
			}
		}
		if first, _, _ := strings.Cut(name, "/"); first == "isolinux" && !b.bios() {
			return nil
		}
		to := filepath.Join(b.tree, name)
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		if err := b.copyMenu(to, name, path, info); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	})
	if err == nil && menus > 1 {
		err = fmt.Errorf("%s has %d EFI/*/grub.cfg instead of one", b.ConfigDir, menus)
	}
	return menus, err
}

func (b *builder) copyMenu(to, name, from string, info *kargsInfo) error {
	template, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if !utf8.Valid(template) {
		return errors.New("is not a text in UTF-8")
	}
	stat, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := info.find(name, template, b.kargs); err != nil {
		return err
	}
	text := bytes.ReplaceAll(template, []byte(kargsToken), []byte(b.kargs))
	if err := os.WriteFile(to, text, stat.Mode().Perm()); err != nil {
		return err
	}
	return os.Chtimes(to, stat.ModTime(), stat.ModTime())
}

// find enters the area of a boot menu, if it has one. All areas of an ISO have
// one content and one size.
func (info *kargsInfo) find(name string, template []byte, kargs string) error {
	at := bytes.Index(template, []byte(kargsToken))
	if at < 0 {
		return nil
	}
	line, rest, _ := bytes.Cut(template[at:], []byte("\n"))
	area := embedArea.FindSubmatch(rest)
	if area == nil {
		return nil
	}
	standard := strings.Replace(string(line), kargsToken, kargs, 1)
	size := len(standard) + 1 + len(area[1])
	if len(info.Files) > 0 && (info.Default != standard || info.Size != size) {
		return fmt.Errorf("has other kernel arguments, or another size of their area, than %s: %q, %d bytes; there %q, %d bytes",
			info.Files[0].Path, standard, size, info.Default, info.Size)
	}
	info.Default, info.Size = standard, size
	info.Files = append(info.Files, kargsFile{Path: name, Offset: at, Pad: "#", End: "\n"})
	return nil
}
