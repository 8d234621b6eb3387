package rootfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// PlaceKernel moves what packages brought to /boot to /usr/lib/ostree-boot and
// the kernel to /usr/lib/modules/KVER/vmlinuz, and returns KVER. A tree must have
// exactly one kernel.
func (t *Tree) PlaceKernel() (string, error) {
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
	return version, t.dropShippedInitramfs(version)
}

// CopyToBoot puts the kernel and, where there is one, its initramfs into
// /usr/lib/ostree-boot as well, with the checksum of both at the end of their
// names: for a boot-location of "new", which OSTree read before it knew
// /usr/lib/modules.
func (t *Tree) CopyToBoot(version string) error {
	modules := filepath.Join(t.Root, "usr/lib/modules", version)
	ostreeBoot := filepath.Join(t.Root, "usr/lib/ostree-boot")
	// Packages need not have brought anything to /boot.
	if err := os.MkdirAll(ostreeBoot, 0o755); err != nil {
		return err
	}
	sum := sha256.New()
	names := map[string]string{"vmlinuz": "vmlinuz-" + version}
	if _, err := os.Stat(filepath.Join(modules, "initramfs.img")); err == nil {
		names["initramfs.img"] = "initramfs-" + version + ".img"
	}
	for _, name := range []string{"vmlinuz", "initramfs.img"} {
		if names[name] == "" {
			continue
		}
		if err := feed(sum, filepath.Join(modules, name)); err != nil {
			return err
		}
	}
	for name, to := range names {
		to = filepath.Join(ostreeBoot, to+"-"+hex.EncodeToString(sum.Sum(nil)))
		if err := copyFile(filepath.Join(modules, name), to); err != nil {
			return err
		}
	}
	return nil
}

// feed writes the content of a file to w.
func feed(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
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
