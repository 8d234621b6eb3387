package qcow2_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/format/qcow2"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// disk is some MiB of what disks have: text, noise and nothing.
func disk() []byte {
	d := make([]byte, 9<<20+512)
	copy(d, bytes.Repeat([]byte("a line of text\n"), 100000))
	noise := rand.New(rand.NewPCG(1, 2))
	for i := 5 << 20; i < 6<<20; i += 8 {
		binary.LittleEndian.PutUint64(d[i:], noise.Uint64())
	}
	copy(d[len(d)-7:], "the end")
	return d
}

func host(t testing.TB, args ...string) {
	t.Helper()
	testkit.NeedTool(t, "qemu-img")
	_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "qemu-img", Args: args})
	require.NoError(t, err)
}

func convert(t testing.TB, options ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	raw, img := filepath.Join(dir, "raw"), filepath.Join(dir, "qcow2")
	require.NoError(t, os.WriteFile(raw, disk(), 0o644))
	host(t, append(append([]string{"convert", "-f", "raw", "-O", "qcow2"}, options...), raw, img)...)
	data, err := os.ReadFile(img)
	require.NoError(t, err)
	return data
}

func TestReadsWhatQEMUWrites(t *testing.T) {
	for name, options := range map[string][]string{
		"plain":           nil,
		"version 2":       {"-o", "compat=0.10"},
		"small clusters":  {"-o", "cluster_size=512"},
		"large clusters":  {"-o", "cluster_size=2M"},
		"zlib":            {"-c"},
		"zstd":            {"-c", "-o", "compression_type=zstd"},
		"subclusters":     {"-o", "extended_l2=on,cluster_size=64k"},
		"zlib, 4k":        {"-c", "-o", "cluster_size=4k"},
		"full allocation": {"-o", "preallocation=full"},
	} {
		t.Run(name, func(t *testing.T) {
			img, err := qcow2.Open(bytes.NewReader(convert(t, options...)))
			require.NoError(t, err)
			want := disk()
			require.EqualValues(t, len(want), img.Size)
			got, err := io.ReadAll(io.NewSectionReader(img, 0, img.Size))
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got))
			piece := make([]byte, 100_000)
			_, err = img.ReadAt(piece, 1<<20-77)
			require.NoError(t, err)
			require.Equal(t, want[1<<20-77:][:len(piece)], piece)
			n, err := img.ReadAt(piece, img.Size-7)
			require.ErrorIs(t, err, io.EOF)
			require.Equal(t, "the end", string(piece[:n]))
		})
	}
}

func TestRefuses(t *testing.T) {
	good := convert(t)
	change := func(at int, value ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[at:], value)
		return b
	}
	for name, c := range map[string]struct {
		image []byte
		want  string
		kind  error
	}{
		"nothing":        {nil, "no header", qcow2.ErrBad},
		"version":        {change(7, 9), "version 9", qcow2.ErrUnsupported},
		"clusters":       {change(23, 60), "clusters of 2^60 bytes", qcow2.ErrBad},
		"backing file":   {change(15, 1), "it has a backing file", qcow2.ErrUnsupported},
		"encrypted":      {change(35, 1), "it is encrypted", qcow2.ErrUnsupported},
		"short table":    {change(38, 0, 0), "a table of 0 entries", qcow2.ErrBad},
		"data elsewhere": {change(79, 4), "its data are in another file", qcow2.ErrUnsupported},
		"features":       {change(79, 0x80), "unknown features 0x80", qcow2.ErrUnsupported},
		"cut short":      {good[:4096], "the file ends before byte", qcow2.ErrBad},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := qcow2.Open(bytes.NewReader(c.image))
			require.ErrorIs(t, err, c.kind)
			require.ErrorContains(t, err, c.want)
		})
	}
	img, err := qcow2.Open(bytes.NewReader(good[:len(good)/2]))
	require.NoError(t, err)
	_, err = io.ReadAll(io.NewSectionReader(img, 0, img.Size))
	require.ErrorIs(t, err, qcow2.ErrBad, "a file that ends early is told of when the end is read")
	marked, err := qcow2.ParseHeader(change(79, 3))
	require.NoError(t, err)
	require.True(t, marked.Dirty && marked.Corrupt)
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte(qcow2.Magic))
	small := []byte(qcow2.Magic + "\x00\x00\x00\x02")
	small = append(small, make([]byte, 64)...)
	small[23], small[30], small[39], small[47] = 9, 16, 1, 72
	f.Add(append(small, make([]byte, 1024)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		img, err := qcow2.Open(bytes.NewReader(data))
		if err != nil {
			return
		}
		p := make([]byte, 4096)
		for at := int64(0); at < min(img.Size, 1<<20); at += 4096 {
			if _, err := img.ReadAt(p, at); err != nil {
				return
			}
		}
	})
}
