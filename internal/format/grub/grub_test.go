package grub_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/format/grub"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

const modules = "/usr/lib/grub/i386-pc"

// realImages are the images of the GRUB on this machine.
func realImages(t *testing.T) (boot, core []byte) {
	t.Helper()
	testkit.NeedTool(t, "grub-mkimage")
	boot, err := os.ReadFile(filepath.Join(modules, "boot.img"))
	if os.IsNotExist(err) {
		testkit.Miss(t, "no GRUB for BIOS on this machine; on Debian and Ubuntu: apt-get install grub-pc-bin")
	}
	require.NoError(t, err)
	out := filepath.Join(t.TempDir(), "core.img")
	_, err = tool.Host{}.Run(t.Context(), tool.Cmd{Name: "grub-mkimage", Args: []string{
		"-O", "i386-pc", "-d", modules, "-p", "(,gpt3)/grub2", "-o", out, "biosdisk", "part_gpt", "ext2",
	}})
	require.NoError(t, err)
	core, err = os.ReadFile(out)
	require.NoError(t, err)
	return boot, core
}

func TestBootCodeLeadsToTheCoreImage(t *testing.T) {
	boot, _ := realImages(t)

	code, err := grub.BootCode(boot, 2048)

	require.NoError(t, err)
	require.Len(t, code, grub.BootCodeSize)
	require.EqualValues(t, 2048, binary.LittleEndian.Uint64(code[0x5c:]))
	require.EqualValues(t, 0xff, code[0x64])
	require.Equal(t, []byte{0x90, 0x90}, code[0x66:0x68])
	require.Equal(t, boot[:0x5c], code[:0x5c], "the rest is GRUB's own")
	require.Equal(t, boot[0x68:grub.BootCodeSize], code[0x68:])
}

func TestCoreListsItsOwnSectors(t *testing.T) {
	_, img := realImages(t)

	core, err := grub.Core(img, 2048, 1<<20)

	require.NoError(t, err)
	require.Zero(t, len(core)%grub.SectorSize)
	require.EqualValues(t, 2049, binary.LittleEndian.Uint64(core[500:]))
	require.EqualValues(t, len(core)/grub.SectorSize-1, binary.LittleEndian.Uint16(core[508:]))
	require.Equal(t, img[grub.SectorSize:], core[grub.SectorSize:len(img)])
}

func TestWhatIsNotGRUBIsRefused(t *testing.T) {
	_, err := grub.BootCode(make([]byte, 512), 2048)
	require.ErrorContains(t, err, "boot.img of 512 bytes is no boot sector")

	signed := make([]byte, 512)
	signed[510], signed[511] = 0x55, 0xaa
	_, err = grub.BootCode(signed, 0)
	require.EqualError(t, err, "core image cannot begin at sector 0")

	_, err = grub.Core(make([]byte, 512), 1, 1<<20)
	require.EqualError(t, err, "core image of 512 bytes is too short")
	_, err = grub.Core(make([]byte, 4096), 1, 1<<20)
	require.EqualError(t, err, "core image has no block list for BIOS: load segment 0x0, not 0x820")

	long := make([]byte, 4096)
	binary.LittleEndian.PutUint16(long[510:], 0x820)
	_, err = grub.Core(long, 1, 2048)
	require.EqualError(t, err, "core image of 4096 bytes does not fit into 2048")
}
