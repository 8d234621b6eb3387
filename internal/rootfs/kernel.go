package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// KernelOptions say how the kernel is laid out.
type KernelOptions struct {
	// KeepBootCopies keeps the kernel in /usr/lib/ostree-boot as well, for a
	// boot-location other than "modules".
	KeepBootCopies bool
}

// PlaceKernel moves what packages brought to /boot to /usr/lib/ostree-boot and
// the kernel to /usr/lib/modules/KVER/vmlinuz, and returns KVER. A tree must have
// exactly one kernel.
func (t *Tree) PlaceKernel(o KernelOptions) (string, error) {
	boot := filepath.Join(t.Root, "boot")
	ostreeBoot := filepath.Join(t.Root, "usr/lib/ostree-boot")
	if err := os.RemoveAll(filepath.Join(boot, "loader")); err != nil {
		return "", err
	}
	if err := mergeDir(boot, ostreeBoot); err != nil {
		return "", err
	}
	kernel, version, err := t.findKernel()
	if err != nil {
		return "", err
	}
	modules := filepath.Join(t.Root, "usr/lib/modules", version)
	if filepath.Dir(kernel) != modules {
		if err := os.MkdirAll(modules, 0o755); err != nil {
			return "", err
		}
		if err := os.Rename(kernel, filepath.Join(modules, "vmlinuz")); err != nil {
			return "", err
		}
		for _, beside := range []string{"config", "System.map"} {
			err := os.Rename(filepath.Join(ostreeBoot, beside+"-"+version), filepath.Join(modules, beside))
			if err != nil && !os.IsNotExist(err) {
				return "", err
			}
		}
	}
	if o.KeepBootCopies {
		// Packages need not have brought anything to /boot.
		if err := os.MkdirAll(ostreeBoot, 0o755); err != nil {
			return "", err
		}
		if err := copyFile(filepath.Join(modules, "vmlinuz"), filepath.Join(ostreeBoot, "vmlinuz-"+version)); err != nil {
			return "", err
		}
	}
	return version, t.dropShippedInitramfs(version)
}

// findKernel returns the path of the one kernel and its version.
func (t *Tree) findKernel() (path, version string, err error) {
	inModules, err := filepath.Glob(filepath.Join(t.Root, "usr/lib/modules/*/vmlinuz"))
	if err != nil {
		return "", "", err
	}
	inBoot, err := filepath.Glob(filepath.Join(t.Root, "usr/lib/ostree-boot/vmlinuz-*"))
	if err != nil {
		return "", "", err
	}
	byVersion := map[string]string{}
	for _, p := range inBoot {
		byVersion[strings.TrimPrefix(filepath.Base(p), "vmlinuz-")] = p
	}
	for _, p := range inModules {
		byVersion[filepath.Base(filepath.Dir(p))] = p
	}
	switch len(byVersion) {
	case 0:
		return "", "", errors.New("the tree has no kernel; add a kernel package to the manifest, or say container: true")
	case 1:
		for version, path := range byVersion {
			return path, version, nil
		}
	}
	var versions []string
	for v := range byVersion {
		versions = append(versions, v)
	}
	slices.Sort(versions)
	return "", "", fmt.Errorf("the tree has %d kernels (%s); a bootable tree has one", len(versions), strings.Join(versions, ", "))
}

// dropShippedInitramfs removes initramfs images that came out of packages.
func (t *Tree) dropShippedInitramfs(version string) error {
	for _, pattern := range []string{
		"usr/lib/modules/" + version + "/initramfs*", "usr/lib/ostree-boot/initramfs-*", "usr/lib/ostree-boot/initrd*",
	} {
		paths, err := filepath.Glob(filepath.Join(t.Root, pattern))
		if err != nil {
			return err
		}
		for _, p := range paths {
			if err := os.Remove(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// Depmod writes the module dependency files of the kernel.
func (t *Tree) Depmod(ctx context.Context, version string) error {
	if err := t.run(ctx, sandbox{}, "/usr/sbin/depmod", "-a", version); err != nil {
		return fmt.Errorf("depmod %s: %w", version, err)
	}
	return nil
}

// mergeDir moves what is in from into to; directories that both have are merged.
// from is left as an empty directory.
func mergeDir(from, to string) error {
	entries, err := os.ReadDir(from)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, e := range entries {
		a, b := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		if info, err := os.Lstat(b); err == nil && info.IsDir() && e.IsDir() {
			if err := mergeDir(a, b); err != nil {
				return err
			}
			if err := os.Remove(a); err != nil {
				return err
			}
			continue
		}
		if err := os.Rename(a, b); err != nil {
			return err
		}
	}
	return nil
}
