package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/tool"
)

// runPipeline measures our way, then twice more: after a change of one file and
// after none.
func (b *bench) runPipeline(ctx context.Context) error {
	work, config := filepath.Join(b.dir, "work"), filepath.Join(b.dir, "config")
	yumrepos := filepath.Join(b.dir, "yumrepos")
	if err := os.Mkdir(work, 0o755); err != nil {
		return err
	}
	if err := b.WriteRepo(yumrepos); err != nil {
		return err
	}
	if err := b.tool(ctx, "", "cp", "-a", b.Config, config); err != nil {
		return err
	}
	nosa := func(step, result string, args ...string) (measure, error) {
		return timed(step, filepath.Join(work, result), func() error { return b.tool(ctx, work, b.Nosa, args...) })
	}
	if err := b.tool(ctx, work, b.Nosa, "init", "--transient", "--yumrepos", yumrepos, config); err != nil {
		return err
	}
	tree, err := nosa("tree and commit", "tmp/repo", "build", "--fetch", "container")
	if err != nil {
		return err
	}
	disk, err := nosa("disk image", "builds/latest/*/*.qcow2", "buildextend-qemu")
	if err != nil {
		return err
	}
	b.pipeline = []measure{tree, disk}
	changed := filepath.Join(config, "overlay.d/05core/etc/bench")
	if err := os.WriteFile(changed, []byte("changed\n"), 0o644); err != nil {
		return err
	}
	if b.changed, err = nosa("one file changed", "tmp/repo", "build", "container"); err != nil {
		return err
	}
	b.same, err = nosa("no change", "tmp/repo", "build", "container")
	return err
}

// runPlain measures the same results made by hand.
func (b *bench) runPlain(ctx context.Context) error {
	dir := filepath.Join(b.dir, "plain")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	packages, err := b.packages(ctx)
	if err != nil {
		return err
	}
	script := func(text string, args ...string) func() error {
		return func() error {
			return b.tool(ctx, dir, "bash", append([]string{"-euo", "pipefail", "-c", text, "bash"}, args...)...)
		}
	}
	tree, err := timed("tree and commit, plain", filepath.Join(dir, "repo"), script(plainTree, append([]string{b.Pool}, packages...)...))
	if err != nil {
		return err
	}
	disk, err := timed("disk image, plain", filepath.Join(dir, "disk.qcow2"), script(plainDisk))
	b.plains = []measure{tree, disk}
	return err
}

const plainTree = `
pool=$1; shift
dnf -y -q --installroot="$PWD/root" --releasever=12 --setopt=reposdir=/dev/null --repofrompath=pool,file://"$pool" \
    --nogpgcheck --setopt=install_weak_deps=0 --setopt=tsflags=nodocs --setopt=cachedir="$PWD/cache" install "$@" >&2
kver=$(ls root/usr/lib/modules)
bwrap --bind root / depmod -a "$kver"
bwrap --bind root / --proc /proc --dev /dev --tmpfs /tmp --tmpfs /var/tmp --unshare-net \
    dracut --quiet --no-hostonly --add ostree --force --kver "$kver" "/usr/lib/modules/$kver/initramfs.img"
mv root/boot/vmlinuz-* "root/usr/lib/modules/$kver/vmlinuz"
rm -rf root/var root/boot root/dev root/proc root/run root/tmp
mkdir root/{var,boot,dev,proc,run,tmp,sysroot}
mv root/etc root/usr/etc
ln -s sysroot/ostree root/ostree
ostree init --repo=repo --mode=archive
ostree config --repo=repo set archive.zlib-level 2
ostree config --repo=repo set core.fsync false
ostree commit --repo=repo -b os --tree=dir=root --no-bindings >&2
`

const plainDisk = `
truncate -s 8G disk.raw
sgdisk -n1:0:+1M -t1:ef02 -n2:0:+127M -t2:ef00 -n3:0:+384M -n4:0:0 disk.raw >&2
# A kernel need not make nodes for partitions of a loop device.
boot=$(losetup --find --show --offset $((129 << 20)) --sizelimit $((384 << 20)) disk.raw)
root=$(losetup --find --show --offset $((513 << 20)) --sizelimit $((7678 << 20)) disk.raw)
trap 'umount -R mnt 2>/dev/null || :; losetup -d "$boot" "$root"' EXIT
mkfs.ext4 -q -L boot "$boot"
mkfs.ext4 -q -L root "$root"
mkdir -p mnt
mount "$root" mnt
ostree admin init-fs --modern mnt
ostree admin os-init --sysroot=mnt os
mount "$boot" mnt/boot
ostree pull-local --repo=mnt/ostree/repo repo os >&2
ostree admin deploy --sysroot=mnt --os=os os >&2
umount -R mnt
qemu-img convert -O qcow2 disk.raw disk.qcow2
`

// packages are the names that the manifest lists.
func (b *bench) packages(ctx context.Context) ([]string, error) {
	text, err := b.host.Run(ctx, tool.Cmd{Name: b.Nosa, Args: []string{"manifest", filepath.Join(b.Config, "manifest.yaml")}})
	if err != nil {
		return nil, err
	}
	var flattened struct {
		Packages []string `json:"packages"`
	}
	err = json.Unmarshal(text, &flattened)
	return flattened.Packages, err
}

func (b *bench) tool(ctx context.Context, dir, name string, args ...string) error {
	_, err := b.host.Run(ctx, tool.Cmd{Name: name, Args: args, Dir: dir})
	return err
}
