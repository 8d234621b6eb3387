package live

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/image/disk"
	"github.com/nestos/nosa-actions/internal/tool"
)

// repository has objects with the given content, by their names.
func repository(t *testing.T, contents ...[]byte) (dir string, names []string) {
	t.Helper()
	dir = t.TempDir()
	for i, content := range contents {
		name := fmt.Sprintf("%02x/%062x.file", i%7, i)
		path := filepath.Join(dir, "objects", name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, content, 0o644))
		names = append(names, name)
	}
	return dir, names
}

// sparse is a file with data at the given offsets.
func sparse(t *testing.T, size int64, data map[int64][]byte) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	require.NoError(t, f.Truncate(size))
	for at, piece := range data {
		_, err := f.WriteAt(piece, at)
		require.NoError(t, err)
	}
	return f
}

func noise(random *rand.Rand, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

// assemble does what the installer does with a list.
func assemble(t *testing.T, repo string, p *pieces, blocks []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	parts := strings.Fields(p.parts.String())
	for name := range strings.Lines(p.list.String()) {
		name = strings.TrimSuffix(name, "\n")
		var n, part int64
		switch {
		case strings.HasPrefix(name, "o/"):
			content, err := os.ReadFile(filepath.Join(repo, "objects", name[2:]))
			require.NoError(t, err)
			out.Write(content)
		case scan(name, "p%d.%06d", &part, &n):
			content, err := os.ReadFile(filepath.Join(repo, "objects", parts[part]))
			require.NoError(t, err)
			content = content[n*pieceBlock:]
			out.Write(content[:min(len(content), pieceBlock)])
		case scan(name, "b%07d", &n):
			out.Write(blocks[n*pieceBlock:][:pieceBlock])
		case scan(name, "z%d", &n):
			out.Write(make([]byte, 1<<n))
		default:
			t.Fatalf("the list names %q", name)
		}
	}
	return out.Bytes()
}

func scan(text, format string, n ...any) bool {
	_, err := fmt.Sscanf(text, format, n...)
	return err == nil
}

func TestPiecesMakeTheImage(t *testing.T) {
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 3))
		head := noise(random, 5000)
		var contents [][]byte
		for range 40 {
			content := noise(random, 1+random.IntN(300_000))
			switch random.IntN(4) {
			case 0: // several begin alike
				content = append(bytes.Clone(head), content...)
			case 1:
				content = content[:1+random.IntN(min(len(content), 4096))]
			case 2: // and end in zeros
				content = append(content, make([]byte, random.IntN(20_000))...)
			}
			contents = append(contents, content)
		}
		contents = append(contents, make([]byte, 10_000), head[:4096], nil)
		repo, _ := repository(t, contents...)

		const size = 16 << 20
		stands := map[int64][]byte{}
		for at := int64(random.IntN(1 << 20)); ; {
			content := contents[random.IntN(len(contents))]
			switch random.IntN(6) {
			case 0:
				content = noise(random, 10_000)
			case 1: // only a part of it
				begin := random.IntN(len(content)+1) / pieceBlock * pieceBlock
				content = content[begin : begin+random.IntN(len(content)-begin+1)]
			case 2:
				at += 1 << random.IntN(20)
			}
			if random.IntN(8) > 0 {
				at = blocksOf(at) * pieceBlock
			}
			if at+int64(len(content)) > size {
				break
			}
			stands[at] = content
			at += int64(len(content))
		}
		img := sparse(t, size, stands)
		want, err := os.ReadFile(img.Name())
		require.NoError(t, err)

		objects, err := indexObjects(repo)
		require.NoError(t, err)
		var blocks bytes.Buffer
		p, err := objects.cut(img, size, &blocks)
		require.NoError(t, err)
		require.NotNil(t, p)
		require.EqualValues(t, p.blocks*pieceBlock, blocks.Len())
		require.True(t, bytes.Equal(want, assemble(t, repo, p, blocks.Bytes())), "seed %d", seed)

		var again bytes.Buffer
		second, err := indexObjects(repo)
		require.NoError(t, err)
		q, err := second.cut(img, size, &again)
		require.NoError(t, err)
		require.Equal(t, p.list.String(), q.list.String(), "one image has one list")
	}
}

func TestAFileIsOnePiece(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 3))
	short, long := noise(random, 4096), noise(random, 70_001)
	copy(long, short) // so both may stand at its place
	repo, names := repository(t, short, long)
	img := sparse(t, 1<<20, map[int64][]byte{8192: long, 128 << 10: short})

	objects, err := indexObjects(repo)
	require.NoError(t, err)
	var blocks bytes.Buffer
	p, err := objects.cut(img, 1<<20, &blocks)

	require.NoError(t, err)
	require.Zero(t, blocks.Len())
	list := strings.Fields(p.list.String())
	require.Equal(t, []string{"z13", "o/" + names[1]}, list[:2])
	require.Contains(t, list, "o/"+names[0])
}

func TestAnImageOfOtherContentIsNotCutUp(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 3))
	repo, _ := repository(t, noise(random, 10_000))
	objects, err := indexObjects(repo)
	require.NoError(t, err)
	p, err := objects.cut(sparse(t, 1<<20, map[int64][]byte{0: noise(random, 500_000)}), 1<<20, new(bytes.Buffer))
	require.NoError(t, err)
	require.Nil(t, p)
}

// sysroot has the programs that pieces are put together with, and objects.
func sysroot(t *testing.T, contents ...[]byte) *disk.Sysroot {
	t.Helper()
	s := &disk.Sysroot{Path: t.TempDir(), Deployment: t.TempDir()}
	repo, _ := repository(t, contents...)
	require.NoError(t, os.MkdirAll(filepath.Join(s.Path, "ostree"), 0o755))
	require.NoError(t, os.Rename(repo, filepath.Join(s.Path, "ostree/repo")))
	require.NoError(t, os.MkdirAll(filepath.Join(s.Deployment, "usr/bin"), 0o755))
	for _, program := range assemblers {
		require.NoError(t, os.WriteFile(filepath.Join(s.Deployment, "usr/bin", program), nil, 0o755))
	}
	return s
}

func TestPiecesAreOnlyForSystemsThatCanPutThemTogether(t *testing.T) {
	content := noise(rand.New(rand.NewPCG(1, 3)), 200_000)
	for _, missing := range append([]string{""}, assemblers...) {
		s := sysroot(t, content)
		b := &builder{Input: Input{Scratch: t.TempDir(), Sysroot: s}, run: tool.Host{}}
		if missing != "" {
			require.NoError(t, os.Remove(filepath.Join(s.Deployment, "usr/bin", missing)))
		}
		metal := Payload{Kind: image.Metal, Path: sparse(t, 4<<20, map[int64][]byte{1 << 20: content}).Name(), Size: 4 << 20}

		require.Equal(t, missing == "", b.assembles())
		var has *objects
		if b.assembles() {
			var err error
			has, err = indexObjects(filepath.Join(s.Path, "ostree/repo"))
			require.NoError(t, err)
		}

		p, err := b.packPayload(t.Context(), metal, has)

		require.NoError(t, err)
		require.Equal(t, missing == "", p.list != "")
		got, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "zstd", Args: []string{"-dcq", p.file}})
		require.NoError(t, err)
		if p.list == "" {
			require.Len(t, got, 4<<20)
		} else {
			require.Empty(t, got)
		}
	}
}
