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

	"github.com/nestos/nosa-actions/internal/atomicfile"
	"github.com/nestos/nosa-actions/internal/format/bls"
	"github.com/nestos/nosa-actions/internal/format/ostreerepo"
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

// chooseMenu keeps the menu that the tree's GRUB reads. ostree is to keep only
// that, for good.
func (s *Sysroot) chooseMenu() (bootloader string, err error) {
	if !s.load.blscfg {
		return "syslinux", nil
	}
	if err := os.Remove(filepath.Join(s.Boot, "loader/syslinux.cfg")); err != nil {
		return "", err
	}
	return "none", os.RemoveAll(filepath.Join(s.Boot, "syslinux"))
}

// configureRepo sets the options that the deployed system lives with.
func (s *Sysroot) configureRepo(bootloader string) error {
	options := []ostreerepo.Option{
		{Section: "sysroot", Key: "bootloader", Value: bootloader},
		{Section: "sysroot", Key: "readonly", Value: "true"},
		{Section: "sysroot", Key: "bls-append-except-default", Value: `grub_users=""`},
	}
	for _, o := range whileDeploying {
		o.Value = ""
		options = append(options, o)
	}
	switch {
	case s.Config.Composefs:
		options = append(options, ostreerepo.Option{Section: "ex-integrity", Key: "composefs", Value: "true"})
	case s.Config.RootFS == "ext4verity": // updates seal their files
		options = append(options, ostreerepo.Option{Section: "ex-fsverity", Key: "required", Value: "true"})
	}
	if err := ostreerepo.Configure(s.repo(), options...); err != nil {
		return fmt.Errorf("setting options of the repository: %w", err)
	}
	return nil
}

// stageBoot makes the directory that becomes the boot partition: what ostree put
// there, with this image's kernel arguments, and the files that GRUB reads.
func (b *builder) stageBoot(ctx context.Context, boot string) error {
	// Hard links: kernel and initramfs are large.
	if _, err := b.run.Run(ctx, tool.Cmd{Name: "cp", Args: []string{"-a", "--link", b.Boot, boot}}); err != nil {
		return err
	}
	if err := b.setKargs(boot); err != nil {
		return err
	}
	for name, mode := range map[string]os.FileMode{"efi": 0o755, "grub2": 0o700, "nestos": 0o755} {
		if err := makeDir(filepath.Join(boot, name), mode); err != nil {
			return err
		}
	}
	script, err := b.grubScript()
	if err != nil {
		return err
	}
	files := map[string][]byte{
		"grub2/grub.cfg":     []byte(script),
		"ignition.firstboot": nil,
	}
	if table, ok := b.Platforms[b.Arch.RPM]; ok {
		if files["nestos/platforms.json"], err = prettyJSON(table); err != nil {
			return err
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(boot, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// setKargs puts the image's kernel arguments in the place that deploy left for
// them: in the boot entry and, where there is one, in the syslinux menu.
func (b *builder) setKargs(boot string) error {
	if !b.load.blscfg {
		for _, arg := range b.plan.Kargs {
			if arg != image.FirstBootKarg && strings.ContainsAny(arg, ";&|{}<>'\"\\$") {
				return fmt.Errorf("kernel argument %q has a character that this tree's GRUB, which lacks blscfg, takes for its own", arg)
			}
		}
	}
	entries, err := filepath.Glob(filepath.Join(boot, "loader/entries/ostree-*.conf"))
	if err != nil {
		return err
	}
	if len(entries) != 1 {
		return fmt.Errorf("ostree wrote %d boot entries instead of one", len(entries))
	}
	files := entries
	if !b.load.blscfg {
		files = append(files, filepath.Join(boot, "loader/syslinux.cfg"))
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if n := bytes.Count(text, []byte(kargsMark)); n != 1 {
			return fmt.Errorf("ostree wrote the kernel arguments %d times into %s instead of once", n, filepath.Base(path))
		}
		text = bytes.Replace(text, []byte(kargsMark), []byte(strings.Join(b.plan.Kargs, " ")), 1)
		if err := atomicfile.Write(path, text, 0o644); err != nil { // it is a hard link
			return err
		}
	}
	return b.checkEntry(entries[0])
}

// checkEntry reads the boot entry as a boot loader does: the image's kernel
// arguments must stand there as planned, with ostree's own at the end.
func (b *builder) checkEntry(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	entry, err := bls.Parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	planned := len(b.plan.Kargs)
	if len(entry.Options) != planned+1 || !slices.Equal(entry.Options[:planned], b.plan.Kargs) ||
		!strings.HasPrefix(entry.Options[planned], "ostree=") {
		return fmt.Errorf("the boot entry has the kernel arguments %q instead of %q and ostree's own", entry.Options, b.plan.Kargs)
	}
	return nil
}

// grubScript is the static grub.cfg with the platform's console commands.
func (b *builder) grubScript() (string, error) {
	commands := b.Platforms.Console(b.Arch.RPM, b.plan.Kind.Traits().Platform).GrubCommands
	return insertAfterMarker(b.Config.GrubScript, commands)
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
