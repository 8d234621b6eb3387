package handoff_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/handoff"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

func pack(t testing.TB, root string) []byte {
	t.Helper()
	var b bytes.Buffer
	_, err := handoff.Pack(t.Context(), &b, root, everything(t, root))
	require.NoError(t, err)
	return b.Bytes()
}

func everything(t testing.TB, root string) handoff.PackOptions {
	t.Helper()
	list, err := os.ReadDir(root)
	require.NoError(t, err)
	o := handoff.PackOptions{Kind: "cache", Arch: "x86_64", Labels: map[string]string{"config": "abc"}}
	for _, e := range list {
		o.Paths = append(o.Paths, e.Name())
	}
	return o
}

func unpack(t testing.TB, data []byte, dst string) error {
	t.Helper()
	_, err := handoff.Unpack(t.Context(), bytes.NewReader(data), dst, handoff.UnpackOptions{})
	return err
}

func TestRandomTreesAreEqualAfterTheRoundTrip(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 7))
		src, dst := t.TempDir(), t.TempDir()
		plant(t, rng, src)

		require.NoError(t, unpack(t, pack(t, src), dst))

		requireSame(t, snapshot(t, src), snapshot(t, dst), seed)
	}
}

func TestPlainTarReadsAPack(t *testing.T) {
	testkit.NeedTool(t, "tar", "zstd")
	for seed := range uint64(5) {
		rng := rand.New(rand.NewPCG(seed, 8))
		src, dst := t.TempDir(), t.TempDir()
		plant(t, rng, src)
		file := filepath.Join(t.TempDir(), "pack.tar.zst")
		require.NoError(t, os.WriteFile(file, pack(t, src), 0o600))

		_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "tar", Args: []string{
			"--zstd", "--xattrs", "--xattrs-include=*", "--same-permissions", "-C", dst, "-xf", file,
		}})
		require.NoError(t, err)

		require.NoError(t, os.Remove(filepath.Join(dst, handoff.ManifestName)))
		requireSame(t, snapshot(t, src), snapshot(t, dst), seed)
	}
}

// A change of owner takes away capabilities, setuid and setgid, so they come last.
func TestCapabilitiesSurvive(t *testing.T) {
	testkit.NeedRoot(t)
	testkit.NeedTool(t, "tar", "zstd")
	src, dst, plain := t.TempDir(), t.TempDir(), t.TempDir()
	path := filepath.Join(src, "ping")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755))
	require.NoError(t, os.Chown(path, 12, 34))
	require.NoError(t, unix.Chmod(path, 0o6755))
	// struct vfs_cap_data of linux/capability.h: revision 2, effective, with CAP_NET_RAW permitted.
	capability := []byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	require.NoError(t, unix.Setxattr(path, "security.capability", capability, 0))
	data := pack(t, src)
	file := filepath.Join(t.TempDir(), "pack.tar.zst")
	require.NoError(t, os.WriteFile(file, data, 0o600))

	require.NoError(t, unpack(t, data, dst))
	_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "tar", Args: []string{
		"--zstd", "--xattrs", "--xattrs-include=*", "--same-permissions", "-C", plain, "-xf", file,
	}})
	require.NoError(t, err)

	for _, root := range []string{dst, plain} {
		path := filepath.Join(root, "ping")
		got := make([]byte, 100)
		n, err := unix.Getxattr(path, "security.capability", got)
		require.NoError(t, err)
		require.Equal(t, capability, got[:n])
		var st unix.Stat_t
		require.NoError(t, unix.Stat(path, &st))
		require.EqualValues(t, 0o106755, st.Mode)
		require.EqualValues(t, 12, st.Uid)
		require.EqualValues(t, 34, st.Gid)
	}
}

func TestHolesSurviveAndCostNothing(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	f, err := os.Create(filepath.Join(src, "disk.raw"))
	require.NoError(t, err)
	const size = 4 << 30
	for _, at := range []int64{0, 1 << 30, size - 8192} {
		_, err := f.WriteAt(bytes.Repeat([]byte{7}, 4096), at)
		require.NoError(t, err)
	}
	require.NoError(t, f.Truncate(size))
	require.NoError(t, f.Close())

	data := pack(t, src)
	require.NoError(t, unpack(t, data, dst))

	require.Less(t, len(data), 64<<10)
	require.Equal(t, snapshot(t, src), snapshot(t, dst))
	var st syscall.Stat_t
	require.NoError(t, syscall.Stat(filepath.Join(dst, "disk.raw"), &st))
	require.EqualValues(t, size, st.Size)
	require.Less(t, st.Blocks*512, int64(1<<20))
}

func TestSameContentGivesTheSameBytes(t *testing.T) {
	src := t.TempDir()
	plant(t, rand.New(rand.NewPCG(1, 1)), src)

	require.Equal(t, pack(t, src), pack(t, src))
}

func TestOnlyChosenPathsArePacked(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	for _, p := range []string{"builds/1/x86_64/meta.json", "builds/1/x86_64/.lock", "builds/2/meta.json", "cache/rpm"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(src, p)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(src, p), []byte(p), 0o644))
	}
	var b bytes.Buffer
	_, err := handoff.Pack(t.Context(), &b, src, handoff.PackOptions{
		Paths: []string{"builds/1"},
		Skip:  func(p string) bool { return strings.HasSuffix(p, ".lock") },
	})
	require.NoError(t, err)
	require.NoError(t, unpack(t, b.Bytes(), dst))

	var got []string
	for p := range snapshot(t, dst) {
		got = append(got, p)
	}
	require.ElementsMatch(t, []string{"builds", "builds/1", "builds/1/x86_64", "builds/1/x86_64/meta.json"}, got)
}

func TestPacksMergeInAnyOrder(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	for root, names := range map[string][]string{a: {"builds/1/meta.json", "builds/1/oci"}, b: {"builds/1/oci", "builds/1/qcow2"}} {
		for _, p := range names {
			require.NoError(t, os.MkdirAll(filepath.Join(root, "builds/1"), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(root, p), []byte(p), 0o644))
			at := time.Unix(1_700_000_000+int64(len(p)), 0) // what is in both is the same file
			require.NoError(t, os.Chtimes(filepath.Join(root, p), at, at))
		}
	}
	one, two := pack(t, a), pack(t, b)
	var first map[string]string
	for _, order := range [][][]byte{{one, two}, {two, one}, {one, two, one}} {
		dst := t.TempDir()
		for _, data := range order {
			require.NoError(t, unpack(t, data, dst))
		}
		for _, p := range []string{"builds/1/meta.json", "builds/1/oci", "builds/1/qcow2"} {
			got, err := os.ReadFile(filepath.Join(dst, p))
			require.NoError(t, err)
			require.Equal(t, p, string(got))
		}
		left, err := filepath.Glob(filepath.Join(dst, ".handoff-*"))
		require.NoError(t, err)
		require.Empty(t, left)
		got := snapshot(t, dst)
		if first == nil {
			first = got
		}
		require.Equal(t, first, got, "times, too")
	}
}

func TestConflictsAreRefusedAndNothingMoves(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	for _, p := range []string{"a", "builds", "z"} {
		require.NoError(t, os.WriteFile(filepath.Join(src, p), []byte("new"), 0o644))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dst, "builds"), []byte("old"), 0o644))
	before := snapshot(t, dst)

	err := unpack(t, pack(t, src), dst)

	require.ErrorContains(t, err, "has other content already: builds")
	require.Equal(t, before, snapshot(t, dst))
}

func TestALinkInTheTargetIsNotFollowed(t *testing.T) {
	src, dst, outside := t.TempDir(), t.TempDir(), t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(src, "builds"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(src, "builds/x"), []byte("x"), 0o644))
	require.NoError(t, os.Symlink(outside, filepath.Join(dst, "builds")))

	require.ErrorContains(t, unpack(t, pack(t, src), dst), "has other content already: builds")
	require.Empty(t, snapshot(t, outside))
}

func TestAPackForSomethingElseIsRefused(t *testing.T) {
	src := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(src, "x"), nil, 0o644))
	data := pack(t, src)
	for name, c := range map[string]struct {
		want handoff.UnpackOptions
		says string
	}{
		"kind":         {handoff.UnpackOptions{Kind: "build"}, `this is a "cache" pack, not a "build" one`},
		"architecture": {handoff.UnpackOptions{Arch: "aarch64"}, "made for x86_64, not for aarch64"},
		"label":        {handoff.UnpackOptions{Labels: map[string]string{"config": "def"}}, "made from config abc, not def; give all jobs the same one"},
		"size":         {handoff.UnpackOptions{Limits: handoff.Limits{Entries: -1}}, "manifest: 1 members; at most -1 are accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			dst := t.TempDir()
			_, err := handoff.Unpack(t.Context(), bytes.NewReader(data), dst, c.want)
			require.EqualError(t, err, c.says)
			require.Empty(t, snapshot(t, dst))
		})
	}
}

func TestTruncatedPacksAreRefused(t *testing.T) {
	src := t.TempDir()
	plant(t, rand.New(rand.NewPCG(3, 3)), src)
	data := pack(t, src)
	for i := range 60 {
		dst := t.TempDir()
		require.Error(t, unpack(t, data[:len(data)*i/60], dst), "first %d of %d bytes", len(data)*i/60, len(data))
		require.Empty(t, snapshot(t, dst))
	}
}

func TestAlteredPacksAreRefused(t *testing.T) {
	src := t.TempDir()
	plant(t, rand.New(rand.NewPCG(4, 4)), src)
	data := pack(t, src)
	want := snapshot(t, src)
	rng := rand.New(rand.NewPCG(5, 5))
	for range 60 {
		bad := bytes.Clone(data)
		at := rng.IntN(len(bad))
		bad[at] ^= byte(1 + rng.IntN(255))
		dst := t.TempDir()
		if err := unpack(t, bad, dst); err == nil {
			require.Equal(t, want, snapshot(t, dst), "byte %d", at) // an unused bit of a frame's header
			continue
		}
		require.Empty(t, snapshot(t, dst))
	}
}

func TestWhatAKillLeftIsSwept(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(src, "x"), nil, 0o644))
	require.NoError(t, os.MkdirAll(filepath.Join(dst, ".handoff-123/locked"), 0o755))
	require.NoError(t, os.Chmod(filepath.Join(dst, ".handoff-123/locked"), 0))

	require.NoError(t, unpack(t, pack(t, src), dst))

	require.NoDirExists(t, filepath.Join(dst, ".handoff-123"))
}

func TestDevicesAndPipesAreNotPacked(t *testing.T) {
	src := t.TempDir()
	require.NoError(t, syscall.Mkfifo(filepath.Join(src, "pipe"), 0o600))

	_, err := handoff.Pack(t.Context(), &bytes.Buffer{}, src, everything(t, src))

	require.ErrorContains(t, err, "pipe: a pack holds no devices, pipes or sockets")
}

func TestAFullDiskLeavesNoPack(t *testing.T) {
	src := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(src, "x"), bytes.Repeat([]byte("x"), 100), 0o644))

	_, err := handoff.Pack(t.Context(), full{}, src, everything(t, src))

	require.ErrorIs(t, err, syscall.ENOSPC)
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestCancelEndsPackingAndUnpacking(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	plant(t, rand.New(rand.NewPCG(6, 6)), src)
	data := pack(t, src)
	cause := errors.New("stopped by " + os.Interrupt.String())
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)

	file := filepath.Join(t.TempDir(), "pack")
	_, err := handoff.PackFile(ctx, file, src, everything(t, src))
	require.ErrorIs(t, err, cause)
	require.NoFileExists(t, file)

	_, err = handoff.Unpack(ctx, bytes.NewReader(data), dst, handoff.UnpackOptions{})
	require.ErrorIs(t, err, cause)
	require.Empty(t, snapshot(t, dst))
}
