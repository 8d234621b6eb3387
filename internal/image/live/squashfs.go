package live

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/nestos/nosa-actions/internal/format/ostreerepo"
	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/tool"
)

// installer writes a payload to a disk.
//
//go:embed install.sh
var installer []byte

// installUnit starts the installer where the kernel command line asks for it.
//
//go:embed nestos-install.service
var installUnit []byte

// layer prepares what the live system has over the physical root of the disk
// images: their boot partition, a repository that may be changed, and the
// installer.
func (b *builder) layer(ctx context.Context, layer string) error {
	if err := os.Mkdir(layer, 0o755); err != nil {
		return err
	}
	if err := b.Sysroot.StageBoot(ctx, image.Metal, filepath.Join(layer, "boot")); err != nil {
		return fmt.Errorf("boot directory: %w", err)
	}
	if err := linkKernel(filepath.Join(layer, "boot")); err != nil {
		return err
	}
	config, err := os.ReadFile(filepath.Join(b.Sysroot.Path, "ostree/repo/config"))
	if err != nil {
		return err
	}
	if err := b.Sysroot.WriteAleph(image.Metal, layer); err != nil {
		return err
	}
	if err := putFile(layer, "ostree/repo/config", config, 0o644); err != nil {
		return err
	}
	if err := ostreerepo.Configure(filepath.Join(layer, "ostree/repo"), ostreerepo.Option{Section: "sysroot", Key: "readonly"}); err != nil {
		return err
	}
	return b.addInstaller(layer)
}

// addInstaller adds our installer. A tree that brings nestos-installer starts
// that one by the same kernel arguments; then ours waits to be called.
func (b *builder) addInstaller(layer string) error {
	if err := putFile(layer, payloadDir+"/install", installer, 0o755); err != nil {
		return err
	}
	_, err := os.Lstat(filepath.Join(b.Sysroot.Deployment, "usr/bin/nestos-installer"))
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	units, err := filepath.Rel(b.Sysroot.Path, filepath.Join(b.Sysroot.Deployment, "etc/systemd/system"))
	if err != nil {
		return err
	}
	const unit = "nestos-install.service"
	if err := putFile(layer, filepath.Join(units, unit), installUnit, 0o644); err != nil {
		return err
	}
	wants := filepath.Join(layer, units, "multi-user.target.wants")
	if err := os.Mkdir(wants, 0o755); err != nil {
		return err
	}
	return os.Symlink("../"+unit, filepath.Join(wants, unit))
}

// putFile writes a file below dir, and the directories that it lies in.
func putFile(dir, name string, content []byte, mode os.FileMode) error {
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(path, content, mode), os.Chmod(path, mode))
}

// linkKernel names the kernel a second time directly in the boot directory.
func linkKernel(boot string) error {
	kernels, err := filepath.Glob(filepath.Join(boot, "ostree/*/vmlinuz*"))
	if err != nil {
		return err
	}
	if len(kernels) != 1 {
		return fmt.Errorf("the boot directory has %d kernels instead of one", len(kernels))
	}
	return os.Link(kernels[0], filepath.Join(boot, filepath.Base(kernels[0])))
}

// squashScript packs the physical root $1 with the layer $2 over it into $4. It
// mounts below the directory $3, under names without characters that overlayfs
// takes for its own, in a mount namespace of its own: the mounts are gone when
// the script ends, however it ends.
const squashScript = `set -eu
in=$1 layer=$2 dir=$3 out=$4
shift 4
cd "$dir"
mkdir lower upper root
mount --bind "$in" lower
mount --bind "$layer" upper
mount -t overlay -o ro,lowerdir=upper:lower overlay root
mksquashfs root "$out" -noappend -no-progress -quiet "$@"
`

func (b *builder) makeSquashfs(ctx context.Context, path string) error {
	layer, mounts := filepath.Join(b.Scratch, "layer"), filepath.Join(b.Scratch, "mounts")
	if err := b.layer(ctx, layer); err != nil {
		return err
	}
	if err := os.Mkdir(mounts, 0o700); err != nil {
		return err
	}
	_, err := b.run.Run(ctx, tool.Cmd{Name: "unshare", Namespaces: true, Args: append([]string{
		"--mount", "--propagation", "private", "sh", "-c", squashScript, "sh", b.Sysroot.Path, layer, mounts, path,
	}, b.compression()...)})
	if err != nil {
		return err
	}
	return os.RemoveAll(layer)
}

// compression is how the root is compressed, as options of mksquashfs.
func (b *builder) compression() []string {
	conf := b.Sysroot.Config
	switch {
	case b.Fast:
		return []string{"-comp", "lz4"}
	case conf.SquashfsLevel == 0:
		return []string{"-comp", conf.SquashfsCompression}
	}
	return []string{"-comp", conf.SquashfsCompression, "-Xcompression-level", strconv.Itoa(conf.SquashfsLevel)}
}
