package live

import (
	"errors"
	"os"
	"path/filepath"
)

// isolinuxMagic is at isolinuxMagicAt in an isolinux.bin that may become a hybrid.
var isolinuxMagic = []byte{0xfb, 0xc0, 0x78, 0x70}

const isolinuxMagicAt = 64

// fixtures fills the tree of an ISO that does not boot: tests of installers and
// of tools that change ISOs want its files and their places, not what is large.
func (b *builder) fixtures() error {
	features, err := b.features()
	if err != nil {
		return err
	}
	for name, content := range map[string]string{
		"images/efiboot.img":   "efiboot.img\n",
		kernelPath:             "the kernel\n",
		initramfsPath:          "initrd data\n",
		rootfsPath:             "rootfs data\n",
		"nestos/features.json": string(features),
	} {
		if err := os.WriteFile(filepath.Join(b.tree, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// fixtureOf makes zeros of a copy of isolinux.bin, but for its magic.
func fixtureOf(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	content := make([]byte, info.Size())
	if copy(content[min(isolinuxMagicAt, len(content)):], isolinuxMagic) < len(isolinuxMagic) {
		return errors.New("is too short for isolinux.bin")
	}
	return os.WriteFile(path, content, 0o644)
}
