package disk

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/tool"
)

// loaders is what the tree brings to boot with.
type loaders struct {
	tree    string // root of the tree
	bios    string // directory of GRUB's modules for BIOS, or ""
	efi     string // the same for UEFI, or ""
	bootupd string // EFI directory of bootupd's payload, or ""
	vendor  string // directory below EFI for the vendor's files
	mkimage string // grub-mkimage, as a path inside the tree, or ""
	blscfg  bool   // the tree's GRUB reads boot entries itself
}

// findLoaders looks into a tree.
func findLoaders(tree string, a arch.Arch) (*loaders, error) {
	l := &loaders{
		tree:    tree,
		efi:     firstThere(tree, "usr/lib/grub/"+a.GRUB),
		bootupd: firstThere(tree, "usr/lib/bootupd/updates/EFI"),
		mkimage: firstThere(tree, "usr/bin/grub2-mkimage", "usr/bin/grub-mkimage"),
	}
	if a == arch.X86_64 {
		l.bios = firstThere(tree, "usr/lib/grub/i386-pc")
	}
	if l.efi == "" && l.bootupd == "" {
		return nil, fmt.Errorf("the tree has no boot loader for UEFI: neither usr/lib/bootupd/updates/EFI nor usr/lib/grub/%s; add GRUB's packages to the manifest", a.GRUB)
	}
	if l.bootupd == "" {
		l.vendor = osID(tree)
		l.blscfg = firstThere(l.efi, "blscfg.mod") != ""
		return l, nil
	}
	l.blscfg = true // bootupd comes only with GRUBs that have it built in
	var err error
	l.vendor, err = bootupdVendor(l.bootupd)
	return l, err
}

// bootupdVendor is the only directory beside BOOT in bootupd's payload.
func bootupdVendor(payload string) (string, error) {
	entries, err := os.ReadDir(payload)
	if err != nil {
		return "", err
	}
	var vendors []string
	for _, e := range entries {
		if e.IsDir() && e.Name() != "BOOT" {
			vendors = append(vendors, e.Name())
		}
	}
	if len(vendors) != 1 {
		return "", fmt.Errorf("usr/lib/bootupd/updates/EFI must have one directory beside BOOT, not %d (%s)", len(vendors), strings.Join(vendors, ", "))
	}
	return vendors[0], nil
}

// osID is ID of the tree's os-release, which names the vendor's directory where
// no payload does.
func osID(tree string) string {
	text, err := os.ReadFile(filepath.Join(tree, "usr/lib/os-release"))
	if err != nil {
		return "linux"
	}
	for line := range strings.Lines(string(text)) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "ID="); ok {
			if id = strings.Trim(id, `"'`); id != "" && !strings.ContainsAny(id, `/\`) {
				return id
			}
		}
	}
	return "linux" // what os-release(5) says a missing ID means
}

func firstThere(dir string, names ...string) string {
	for _, name := range names {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// coreModules are built into every core image: what it takes to find /boot and
// run the static grub.cfg. Others are loaded from /boot when a script asks.
var coreModules = []string{
	"part_gpt", "ext2", "mdraid1x", "normal", "configfile", "search", "search_label", "search_fs_uuid",
	"test", "regexp", "echo", "loadenv", "linux", "gzio", "serial", "terminal", "sleep", "reboot", "halt", "minicmd",
}

// menuModules make the menu: from the boot entries, or else from the syslinux
// menu that ostree keeps beside them.
func (l *loaders) menuModules() []string {
	if l.blscfg {
		return []string{"blscfg"}
	}
	return []string{"syslinuxcfg", "linux16"} // what its entries use under BIOS
}

// core is what a core image of GRUB is made of.
type core struct {
	format  string   // of grub-mkimage
	modules string   // directory in the tree
	prefix  string   // where it looks for more
	config  string   // script that it runs first; empty: none
	dir     string   // where the image goes
	name    string   // under this name
	extra   []string // modules beside those that all have
}

// makeCore runs grub-mkimage over the tree's modules: the tree's own program if
// it has one, since the two belong together, else that of this machine.
func (l *loaders) makeCore(ctx context.Context, r tool.Runner, c core) error {
	var names []string
	for _, m := range append(append(c.extra, coreModules...), l.menuModules()...) {
		if firstThere(c.modules, m+".mod") != "" {
			names = append(names, m)
		}
	}
	args := func(modules, dir string) []string {
		args := []string{"-O", c.format, "-d", modules, "-p", c.prefix, "-o", filepath.Join(dir, c.name)}
		if c.config != "" {
			args = append(args, "-c", filepath.Join(dir, filepath.Base(c.config)))
		}
		return append(args, names...)
	}
	cmd := tool.Cmd{Name: "grub-mkimage", Args: args(c.modules, c.dir)}
	if l.mkimage != "" {
		inTree := func(path string) string { return "/" + strings.TrimPrefix(strings.TrimPrefix(path, l.tree), "/") }
		cmd = tool.Cmd{Name: "bwrap", Args: append([]string{
			"--unshare-all", "--die-with-parent", "--clearenv", "--setenv", "PATH", "/usr/sbin:/usr/bin",
			"--ro-bind", l.tree, "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run", "--bind", c.dir, "/run/out",
			inTree(l.mkimage),
		}, args(inTree(c.modules), "/run/out")...)}
	}
	if _, err := r.Run(ctx, cmd); err != nil {
		return fmt.Errorf("making GRUB's core image for %s: %w", c.format, err)
	}
	return nil
}
