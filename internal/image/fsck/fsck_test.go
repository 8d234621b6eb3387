package fsck_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/diskfs/go-diskfs/partition/gpt"
	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/image/fsck"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

func host(t *testing.T, name string, args ...string) {
	t.Helper()
	_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: name, Args: args})
	require.NoError(t, err)
}

// image makes a disk with a partition of its own for each file system, and one
// without, and returns it with the offsets of the partitions. The first begins
// after 1 MiB.
func image(t *testing.T, sector int64) (path string, offsets []int64) {
	t.Helper()
	testkit.NeedTool(t, "qemu-img", "blkid", "e2fsck", "mke2fs", "fsck.vfat", "mkfs.vfat", "mkfs.xfs", "xfs_repair", "mkfs.btrfs", "btrfs")
	dir := t.TempDir()
	path = filepath.Join(dir, "disk,1.raw") // qemu takes commas for itself
	filesystems := []struct {
		size int64
		make []string
	}{
		{1 << 20, nil},
		{8 << 20, []string{"mkfs.vfat"}},
		{16 << 20, []string{"mke2fs", "-q", "-t", "ext4"}},
		{300 << 20, []string{"mkfs.xfs", "-q"}},
		{128 << 20, []string{"mkfs.btrfs", "-q"}},
	}
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.Truncate(512<<20))
	table := &gpt.Table{LogicalSectorSize: int(sector), PhysicalSectorSize: int(sector), ProtectiveMBR: true}
	at := int64(1 << 20)
	for i, fs := range filesystems {
		table.Partitions = append(table.Partitions, &gpt.Partition{
			Index: i + 1, Start: uint64(at / sector), End: uint64((at+fs.size)/sector) - 1, Size: uint64(fs.size),
			Type: gpt.LinuxFilesystem, Name: fmt.Sprint("p", i+1),
		})
		offsets = append(offsets, at)
		at += fs.size
	}
	require.NoError(t, table.Write(f, 512<<20))
	for i, fs := range filesystems {
		if fs.make == nil {
			continue
		}
		part := filepath.Join(dir, "part")
		require.NoError(t, os.WriteFile(part, nil, 0o644))
		require.NoError(t, os.Truncate(part, fs.size))
		host(t, fs.make[0], append(fs.make[1:], part)...)
		host(t, "dd", "if="+part, "of="+path, "bs=1M", fmt.Sprint("seek=", offsets[i]>>20), "conv=notrunc,sparse", "status=none")
		require.NoError(t, os.Remove(part))
	}
	return path, offsets
}

func check(t *testing.T, path string) error {
	t.Helper()
	scratch := filepath.Join(t.TempDir(), "scratch")
	err := fsck.Disk(t.Context(), tool.Host{}, path, scratch)
	require.NoDirExists(t, scratch)
	return err
}

// spoil overwrites bytes.
func spoil(t *testing.T, path string, at int64, with string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte(with), at)
	require.NoError(t, err)
}

func TestASoundDiskOfEitherSectorSize(t *testing.T) {
	for _, sector := range []int64{512, 4096} {
		path, _ := image(t, sector)
		require.NoError(t, check(t, path))
		qcow2 := filepath.Join(t.TempDir(), "disk.qcow2")
		host(t, "qemu-img", "convert", "-O", "qcow2", path, qcow2)
		require.NoError(t, check(t, qcow2))
	}
}

func TestDamageOfEachPartitionIsTold(t *testing.T) {
	path, offsets := image(t, 512)
	spoil(t, path, offsets[1]+2048, "\x00\x00\x00\x00")      // first FAT, behind four sectors
	spoil(t, path, offsets[2]+1024+0x0c, "\xff\xff\xff\x00") // free blocks of the ext4 super block
	spoil(t, path, offsets[3]+512, "XAGX")                   // header of free space in XFS

	err := check(t, path)

	require.ErrorIs(t, err, fsck.ErrBad)
	require.ErrorContains(t, err, "partition 2 (p2): the disk is damaged: fsck.vfat: ")
	require.ErrorContains(t, err, "partition 3 (p3): the disk is damaged: e2fsck: ")
	require.ErrorContains(t, err, "partition 4 (p4): the disk is damaged: xfs_repair: ")
	require.NotContains(t, err.Error(), "partition 1 ")
}

func TestADiskWithoutATableOrContainer(t *testing.T) {
	testkit.NeedTool(t, "qemu-img")
	dir := t.TempDir()
	raw := filepath.Join(dir, "a.raw")
	require.NoError(t, os.WriteFile(raw, nil, 0o644))
	require.NoError(t, os.Truncate(raw, 4<<20))
	require.ErrorIs(t, check(t, raw), fsck.ErrBad)
	qcow2 := filepath.Join(dir, "a.qcow2")
	require.NoError(t, os.WriteFile(qcow2, []byte("disk\n"), 0o644))
	require.ErrorIs(t, check(t, qcow2), fsck.ErrBad)
	require.EqualError(t, check(t, filepath.Join(dir, "a.iso")), filepath.Join(dir, "a.iso")+" is no disk image that can be checked")
	require.True(t, fsck.Can(raw))
	require.False(t, fsck.Can("os-live.x86_64.iso"))
}
