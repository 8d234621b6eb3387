package live

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/image/disk"
	"github.com/nestos/nosa-actions/internal/tool"
)

func sparse(t *testing.T, size int64, pieces map[int64][]byte) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	require.NoError(t, f.Truncate(size))
	for at, piece := range pieces {
		_, err := f.WriteAt(piece, at)
		require.NoError(t, err)
	}
	return f
}

func TestADeltaMakesOneImageOfTheOther(t *testing.T) {
	const size = 8 << 20
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		pieces := func() map[int64][]byte {
			m := map[int64][]byte{}
			for range 8 {
				piece := bytes.Repeat([]byte{byte(random.IntN(3))}, 1+random.IntN(200_000))
				m[random.Int64N(size-int64(len(piece)))] = piece
			}
			return m
		}
		base, want := sparse(t, size, pieces()), sparse(t, size, pieces())

		p, err := difference(base, want, size)
		require.NoError(t, err)
		var content bytes.Buffer
		_, err = p.write(&content, want)
		require.NoError(t, err)
		require.EqualValues(t, p.blocks*deltaBlock, content.Len())
		for _, place := range p.places {
			require.False(t, place.at < headBlocks && place.at+place.count > headBlocks, "%v lies on both sides of the first MiB", place)
			_, err := base.WriteAt(content.Next(int(place.count*deltaBlock)), place.at*deltaBlock)
			require.NoError(t, err)
		}

		left, err := difference(base, want, size)
		require.NoError(t, err)
		require.Empty(t, left.places)
		old, err := os.ReadFile(base.Name())
		require.NoError(t, err)
		now, err := os.ReadFile(want.Name())
		require.NoError(t, err)
		require.True(t, bytes.Equal(old, now))
	}
}

func TestAnImageThatIsAnotherIsPackedWhole(t *testing.T) {
	b := &builder{Input: Input{Scratch: t.TempDir(), Sysroot: &disk.Sysroot{}}, run: tool.Host{}}
	noise := make([]byte, 4<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise) // never fails
	metal := Payload{Kind: image.Metal, Path: sparse(t, 4<<20, nil).Name(), Size: 4 << 20}
	other := Payload{Kind: image.Metal4k, Path: sparse(t, 4<<20, map[int64][]byte{0: noise}).Name(), Size: 4 << 20}
	larger := Payload{Kind: image.Metal4k, Path: sparse(t, 5<<20, nil).Name(), Size: 5 << 20}
	for _, payload := range []Payload{metal, other, larger} {
		p, err := b.packPayload(t.Context(), payload, metal)
		require.NoError(t, err)
		require.Empty(t, p.delta)
		got, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "zstd", Args: []string{"-dcq", p.file}})
		require.NoError(t, err)
		want, err := os.ReadFile(payload.Path)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
		require.NoError(t, os.Remove(p.file))
	}
}

func TestADeltaThatCannotBePackedIsAnError(t *testing.T) {
	b := &builder{Input: Input{Scratch: filepath.Join(t.TempDir(), "missing"), Sysroot: &disk.Sysroot{}}, run: tool.Host{}}
	metal := Payload{Kind: image.Metal, Path: sparse(t, 4<<20, nil).Name(), Size: 4 << 20}
	other := Payload{Kind: image.Metal4k, Path: sparse(t, 4<<20, map[int64][]byte{0: {1}}).Name(), Size: 4 << 20}
	_, err := b.packPayload(context.Background(), other, metal)
	require.ErrorContains(t, err, "zstd")
}
