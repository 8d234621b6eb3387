package disk

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/nestos/nosa-actions/internal/image"
)

// StageBoot fills a new directory with what the boot partition of a kind of
// image holds, but for the modules of boot loaders.
func (s *Sysroot) StageBoot(ctx context.Context, kind image.Kind, dir string) error {
	b, err := s.builder(kind, filepath.Dir(dir))
	if err != nil {
		return err
	}
	return b.stageBoot(ctx, dir)
}

// WriteAleph writes into dir the file by which a machine knows that it runs an
// image of this kind.
func (s *Sysroot) WriteAleph(kind image.Kind, dir string) error {
	b, err := s.builder(kind, dir)
	if err != nil {
		return err
	}
	return b.writeAleph(filepath.Join(dir, alephFile))
}

// RemovableLoader fills the directory efi with what UEFI starts from a medium
// that it has no entry for, such as a CD: all of it in BOOT. GRUB there runs the
// script that stub makes for the name of the vendor's directory, which is
// returned.
func (s *Sysroot) RemovableLoader(ctx context.Context, efi string, stub func(vendor string) string) (vendor string, err error) {
	vendor = s.load.vendor
	boot := filepath.Join(efi, "BOOT")
	if err := os.MkdirAll(boot, 0o755); err != nil {
		return "", err
	}
	script := filepath.Join(boot, "grub.cfg")
	if err := os.WriteFile(script, []byte(stub(vendor)), 0o644); err != nil {
		return "", err
	}
	if s.load.bootupd != "" {
		return vendor, copyRemovable(s.load.bootupd, boot, vendor)
	}
	return vendor, s.load.makeCore(ctx, s.run, core{
		format: s.Arch.GRUB, modules: s.load.efi, prefix: "/EFI/BOOT", config: script,
		dir: boot, name: "BOOT" + s.Arch.EFI + ".EFI", extra: []string{"fat", "iso9660", "all_video", "efifwsetup"},
	})
}

// copyRemovable copies bootupd's payload into one directory. What only makes
// sense on a disk stays behind: the fallback loader with its list, and the
// vendor's second copies of what BOOT has.
func copyRemovable(payload, boot, vendor string) error {
	copied := 0
	for _, dir := range []string{"BOOT", vendor} {
		entries, err := os.ReadDir(filepath.Join(payload, dir))
		if err != nil {
			return err
		}
		for _, e := range entries {
			name := e.Name()
			low := strings.ToLower(name)
			switch {
			case !e.Type().IsRegular(), strings.HasPrefix(low, "fb"), strings.HasSuffix(low, ".csv"), low == "grub.cfg":
				continue
			case dir == vendor && strings.HasPrefix(low, "shim"):
				continue
			}
			to := filepath.Join(boot, name)
			if _, err := os.Lstat(to); err == nil {
				continue
			}
			content, err := os.ReadFile(filepath.Join(payload, dir, name)) // a few MiB at most
			if err != nil {
				return err
			}
			if err := os.WriteFile(to, content, 0o644); err != nil {
				return err
			}
			copied++
		}
	}
	if copied < 2 {
		return errors.New("usr/lib/bootupd/updates/EFI has no loader for removable media")
	}
	return nil
}
