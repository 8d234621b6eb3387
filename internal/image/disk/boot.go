package disk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/imageconf"
	"github.com/nestos/nosa-actions/internal/tool"
)

// syslinuxHead opens the syslinux menu; ostree keeps it and adds the entries.
// Without a timeout, in tenths of a second, GRUB takes the file for one that
// boots its default at once and shows no menu.
const syslinuxHead = "TIMEOUT 10\n"

// prepareSyslinuxMenu makes ostree believe in a syslinux, so that it keeps a
// menu in loader/syslinux.cfg with each deployment, from the first one on.
// GRUBs that cannot read boot entries read that.
func prepareSyslinuxMenu(sysroot string) error {
	boot := filepath.Join(sysroot, "boot")
	for _, dir := range []string{"loader.0", "syslinux"} {
		if err := os.Mkdir(filepath.Join(boot, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(boot, "loader.0/syslinux.cfg"), []byte(syslinuxHead), 0o644); err != nil {
		return err
	}
	if err := os.Symlink("loader.0", filepath.Join(boot, "loader")); err != nil {
		return err
	}
	return os.Symlink("../loader/syslinux.cfg", filepath.Join(boot, "syslinux/syslinux.cfg"))
}

// chooseMenu keeps the menu that the tree's GRUB reads and tells ostree, for
// good, to keep only that.
func (b *builder) chooseMenu() (bootloader string, err error) {
	if !b.load.blscfg {
		for _, arg := range b.root.entry.Options {
			if arg != image.FirstBootKarg && strings.ContainsAny(arg, ";&|{}<>'\"\\$") {
				return "", fmt.Errorf("kernel argument %q has a character that this tree's GRUB, which lacks blscfg, takes for its own", arg)
			}
		}
		return "syslinux", nil
	}
	boot := filepath.Join(b.root.path, "boot")
	if err := os.Remove(filepath.Join(boot, "loader/syslinux.cfg")); err != nil {
		return "", err
	}
	return "none", os.RemoveAll(filepath.Join(boot, "syslinux"))
}

// configureRepo sets the options that the deployed system lives with.
func (b *builder) configureRepo(ctx context.Context, bootloader string) error {
	options := [][]string{
		{"unset", "core.fsync"},
		{"set", "sysroot.bootloader", bootloader},
		{"set", "sysroot.readonly", "true"},
		{"set", "sysroot.bls-append-except-default", `grub_users=""`},
	}
	if b.in.Config.Composefs {
		options = append(options, []string{"set", "ex-integrity.composefs", "true"})
	}
	repo := filepath.Join(b.root.path, "ostree/repo")
	for _, o := range options {
		_, err := b.r.Run(ctx, tool.Cmd{Name: "ostree", Args: append([]string{"config", "--repo=" + repo}, o...)})
		if err != nil {
			return fmt.Errorf("repository option %s: %w", strings.Join(o, " "), err)
		}
	}
	return nil
}

// stageBoot moves what ostree put into /boot out of the root, which keeps an
// empty mount point, and adds the files that GRUB reads. It returns the
// directory that becomes the boot partition.
func (b *builder) stageBoot() (string, error) {
	boot := filepath.Join(b.in.Scratch, "boot")
	mountPoint := filepath.Join(b.root.path, "boot")
	if err := os.Rename(mountPoint, boot); err != nil {
		return "", err
	}
	for path, mode := range map[string]os.FileMode{
		mountPoint:                    0o755,
		filepath.Join(boot, "efi"):    0o755,
		filepath.Join(boot, "grub2"):  0o700,
		filepath.Join(boot, "nestos"): 0o755,
	} {
		if err := os.Mkdir(path, mode); err != nil {
			return "", err
		}
		if err := os.Chmod(path, mode); err != nil { // whatever the umask
			return "", err
		}
	}
	script, err := b.grubScript()
	if err != nil {
		return "", err
	}
	files := map[string][]byte{
		"grub2/grub.cfg":     []byte(script),
		"ignition.firstboot": nil,
	}
	if table, ok := b.in.Platforms[b.in.Arch.RPM]; ok {
		if files["nestos/platforms.json"], err = prettyJSON(table); err != nil {
			return "", err
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(boot, name), content, 0o644); err != nil {
			return "", err
		}
	}
	return boot, nil
}

// grubScript is the static grub.cfg with the platform's console commands.
func (b *builder) grubScript() (string, error) {
	commands := b.in.Platforms.Console(b.in.Arch.RPM, b.in.Kind.Traits().Platform).GrubCommands
	return insertAfterMarker(b.in.Config.GrubScript, commands)
}

func insertAfterMarker(script string, commands []string) (string, error) {
	if len(commands) == 0 {
		return script, nil
	}
	lines := strings.SplitAfter(script, "\n")
	at := slices.Index(lines, imageconf.ConsoleStart+"\n")
	if at < 0 {
		return "", fmt.Errorf("grub-script has no line %q for the console commands of platforms.yaml", imageconf.ConsoleStart)
	}
	return strings.Join(slices.Insert(lines, at+1, strings.Join(commands, "\n")+"\n"), ""), nil
}

// prettyJSON writes as jq does: two spaces, no escapes for HTML, a final
// newline.
func prettyJSON(v any) ([]byte, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return text.Bytes(), err
}
