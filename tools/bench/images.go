package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nestos/nosa-actions/internal/imageconf"
)

// ratio is what our way takes of another, and how much it should take at most.
type ratio struct {
	what        string
	ours, other time.Duration
	target      float64
}

// runImages measures images of a work directory's newest build: metal against its parts and
// against a script with loop mounts, live against mksquashfs, and all in one call
// against one call for each.
func (b *bench) runImages(ctx context.Context, work string) error {
	dir := filepath.Join(b.dir, "images")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	commit, err := newestCommit(work)
	if err != nil {
		return err
	}
	extend := func(kinds ...string) (time.Duration, error) {
		return b.settled(ctx, fmt.Sprintf("images %v", kinds), work, b.Nosa, append([]string{"buildextend", "--force"}, kinds...)...)
	}
	single := map[string]time.Duration{}
	var apart time.Duration
	for _, kind := range []string{"metal", "qemu", "metal4k", "live"} {
		if single[kind], err = extend(kind); err != nil {
			return err
		}
		apart += single[kind]
	}
	together, err := extend("metal", "qemu", "metal4k", "live")
	if err != nil {
		return err
	}
	args := []string{filepath.Join(work, "tmp/repo"), commit, filepath.Join(work, "builds/latest"), strconv.Itoa(imageconf.SquashfsZstdLevel)}
	if err := b.tool(ctx, dir, "bash", script(plainSysroot, args)...); err != nil {
		return err
	}
	plain := map[string]time.Duration{}
	for name, text := range map[string]string{
		"pull": plainPull, "mke2fs": plainExt4, "write": plainWrite, "loop mounts": plainMetal, "mksquashfs": plainSquashfs,
	} {
		if plain[name], err = b.settled(ctx, name, dir, "bash", script(text, args)...); err != nil {
			return err
		}
	}
	b.ratios = []ratio{
		{"metal / its parts", single["metal"], plain["pull"] + plain["mke2fs"] + plain["write"], 1.3},
		{"metal / loop mounts", single["metal"], plain["loop mounts"], 1},
		{"live / mksquashfs", single["live"], plain["mksquashfs"], 1.2},
		{"four at once / apart", together, apart, 0.6},
	}
	return nil
}

// settled runs a program, once what was written before is on the disk, and says
// how long it took.
func (b *bench) settled(ctx context.Context, step, dir, name string, args ...string) (time.Duration, error) {
	if err := b.tool(ctx, "", "sync"); err != nil {
		return 0, err
	}
	fmt.Fprintf(os.Stderr, "%s ...\n", step)
	begin := time.Now()
	if err := b.tool(ctx, dir, name, args...); err != nil {
		return 0, fmt.Errorf("%s: %w", step, err)
	}
	return time.Since(begin), nil
}

func script(text string, args []string) []string {
	return append([]string{"-euo", "pipefail", "-c", text, "bash"}, args...)
}

// newestCommit is the commit of the newest build.
func newestCommit(work string) (string, error) {
	found, err := filepath.Glob(filepath.Join(work, "builds/latest/*/meta.json"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("%d builds are the newest in %s", len(found), work)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		return "", err
	}
	var meta struct {
		Commit string `json:"ostree-commit"`
	}
	err = json.Unmarshal(text, &meta)
	return meta.Commit, err
}

// Scripts with the repository $1, the commit $2, the directory of the build's
// images $3 and the level of the squashfs $4.
const (
	// plainSysroot makes the tree that the others copy; it is not measured.
	plainSysroot = `
export OSTREE_SYSROOT_DEBUG=mutable-deployments
mkdir sysroot
ostree admin init-fs --modern sysroot
ostree admin os-init --sysroot=sysroot os
ostree pull-local --repo=sysroot/ostree/repo --disable-fsync "$1" "$2" >&2
ostree admin deploy --sysroot=sysroot --os=os "$2" >&2
`
	plainPull = `
ostree init --repo=repo --mode=bare
ostree pull-local --repo=repo --disable-fsync "$1" "$2" >&2
`
	plainExt4 = `
size=$(stat -c %s "$3"/*/*-metal.*.raw)
mke2fs -q -F -t ext4 -b 4096 -i 8192 -E nodiscard -d sysroot root.img $((size / 1024 - (514 << 10)))k
`
	plainWrite = `
cp --sparse=auto "$3"/*/*-metal.*.raw metal.raw
`
	// plainMetal has neither boot loaders nor a checksum.
	plainMetal = `
size=$(stat -c %s "$3"/*/*-metal.*.raw)
truncate -s "$size" disk.raw
sgdisk -n1:0:+1M -t1:ef02 -n2:0:+127M -t2:ef00 -n3:0:+384M -n4:0:0 disk.raw >&2
# A kernel need not make nodes for partitions of a loop device.
boot=$(losetup --find --show --offset $((129 << 20)) --sizelimit $((384 << 20)) disk.raw)
root=$(losetup --find --show --offset $((513 << 20)) --sizelimit $((size - (514 << 20))) disk.raw)
trap 'umount -R mnt 2>/dev/null || :; losetup -d "$boot" "$root"' EXIT
mkfs.ext4 -q -L boot "$boot"
mkfs.ext4 -q -i 8192 -L root "$root"
mkdir -p mnt
mount "$root" mnt
ostree admin init-fs --modern mnt
ostree admin os-init --sysroot=mnt os
mount "$boot" mnt/boot
ostree pull-local --repo=mnt/ostree/repo --disable-fsync "$1" "$2" >&2
OSTREE_SYSROOT_OPTS=skip-sync ostree admin deploy --sysroot=mnt --os=os "$2" >&2
umount -R mnt
`
	plainSquashfs = `
mksquashfs sysroot root.squashfs -noappend -no-progress -quiet -comp zstd -Xcompression-level "$4" >&2
`
)

func (b *bench) printRatios() {
	fmt.Printf("\n%-22s %10s %10s %8s %8s\n", "IMAGES", "NOSA", "OTHER", "RATIO", "TARGET")
	for _, r := range b.ratios {
		fmt.Printf("%-22s %9.1fs %9.1fs %8.2f %8.2f\n", r.what, r.ours.Seconds(), r.other.Seconds(), r.ours.Seconds()/r.other.Seconds(), r.target)
	}
}
