package disk_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/diskfs/go-diskfs/partition/gpt"
	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/image"
)

// rawImage is a finished raw image under the eyes of its judges.
type rawImage struct {
	path  string
	parts map[int]*gpt.Partition
}

func open(t *testing.T, path string, sectorSize int) rawImage {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	table, err := gpt.Read(f, sectorSize, sectorSize)
	require.NoError(t, err)
	img := rawImage{path: path, parts: map[int]*gpt.Partition{}}
	for _, p := range table.Partitions {
		img.parts[p.Index] = p
	}
	require.Len(t, img.parts, 4)
	return img
}

// at names a partition as e2fsprogs want it.
func (r rawImage) at(number int) string {
	return fmt.Sprintf("%s?offset=%d", r.path, r.parts[number].GetStart())
}

func (r rawImage) cat(t *testing.T, number int, path string) string {
	t.Helper()
	return host(t, "debugfs", "-R", "cat "+path, r.at(number))
}

func (r rawImage) stat(t *testing.T, number int, path string) string {
	t.Helper()
	return host(t, "debugfs", "-R", "stat "+path, r.at(number))
}

// partition copies a partition to a file of its own.
func (r rawImage) partition(t *testing.T, number int) string {
	t.Helper()
	src, err := os.Open(r.path)
	require.NoError(t, err)
	defer src.Close()
	path := filepath.Join(t.TempDir(), fmt.Sprint("part", number))
	dst, err := os.Create(path)
	require.NoError(t, err)
	defer dst.Close()
	part := r.parts[number]
	_, err = io.Copy(dst, io.NewSectionReader(src, part.GetStart(), part.GetSize()))
	require.NoError(t, err)
	return path
}

// extract copies the files of a partition to a directory, by way of the kernel,
// since what debugfs writes out loses set-user-id bits.
func (r rawImage) extract(t *testing.T, number int, dir string) {
	t.Helper()
	r.mounted(t, number, `cp -a "$1/." "$2/"`, dir)
}

// onRoot runs a script with the mounted root file system as $1.
func (r rawImage) onRoot(t *testing.T, script string) string {
	t.Helper()
	return r.mounted(t, image.RootPartition, script, "")
}

func (r rawImage) mounted(t *testing.T, number int, script, arg string) string {
	t.Helper()
	part := r.parts[number]
	mount := fmt.Sprintf(`mount -o "loop,ro,offset=%d,sizelimit=%d" %q "$1" && { %s; } && umount "$1"`,
		part.GetStart(), part.GetSize(), r.path, script)
	return host(t, "unshare", "--mount", "--propagation", "private", "sh", "-c", mount, "sh", t.TempDir(), arg)
}

// sysroot copies root and boot as a running system sees them.
func (r rawImage) sysroot(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	r.extract(t, image.RootPartition, dir)
	r.extract(t, image.BootPartition, filepath.Join(dir, "boot"))
	return dir
}

// checkFilesystems holds an image with ext4 root against its sentinels and the
// checkers of the file systems.
func (r rawImage) checkFilesystems(t *testing.T) {
	t.Helper()
	for number, want := range map[int]string{
		image.BootPartition: `LABEL="boot" UUID="96d15588-3596-4b3c-adca-a2ff7279ea63" VERSION="1.0" BLOCK_SIZE="4096" TYPE="ext4"`,
		image.RootPartition: `LABEL="root" UUID="910678ff-f77e-4a7d-8d53-86f2ac47a823" VERSION="1.0" BLOCK_SIZE="4096" TYPE="ext4"`,
	} {
		host(t, "e2fsck", "-fn", r.at(number))
		part := r.parts[number]
		got := host(t, "blkid", "-p", "-O", fmt.Sprint(part.GetStart()), "-S", fmt.Sprint(part.GetSize()), r.path)
		require.Contains(t, got, want)
	}
	esp := r.partition(t, image.ESPPartition)
	host(t, "fsck.vfat", "-n", esp)
	require.Contains(t, host(t, "blkid", "-p", esp), `LABEL="EFI-SYSTEM"`)
	require.Contains(t, host(t, "mdir", "-b", "-i", esp, "::/EFI/BOOT"), "BOOTX64.EFI")
}

// partitionLines are the lines of sgdisk's table, with single spaces.
func partitionLines(table string) []string {
	_, rows, _ := strings.Cut(table, "Name\n")
	var lines []string
	for row := range strings.Lines(rows) {
		lines = append(lines, strings.Join(strings.Fields(row), " "))
	}
	return lines
}
