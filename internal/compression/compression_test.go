package compression_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/compression"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// content is text, noise and zeros, of more than one block and frame.
func content(size int) []byte {
	noise := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, size)
	for i := 0; i < size/3; i++ {
		data[i] = "the quick brown fox "[i%20]
		data[size/3+i] = byte(noise.Uint32())
	}
	return data
}

func compress(t *testing.T, f compression.Format, data []byte, fast bool) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, f.Compress(t.Context(), tool.Host{}, &out, bytes.NewReader(data), fast))
	return out.Bytes()
}

func TestRealProgramsReadWhatIsCompressed(t *testing.T) {
	for program, f := range map[string]compression.Format{"gzip": compression.Gzip, "xz": compression.Xz, "zstd": compression.Zstd} {
		t.Run(program, func(t *testing.T) {
			testkit.NeedTool(t, program)
			for _, size := range []int{0, 1, 1 << 20, 16<<20 + 7} {
				data := content(size)
				packed := compress(t, f, data, true)
				plain, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: program, Args: []string{"-dc"}, Stdin: bytes.NewReader(packed)})
				require.NoError(t, err)
				require.True(t, bytes.Equal(data, plain))
				var again bytes.Buffer
				require.NoError(t, f.Decompress(t.Context(), tool.Host{}, &again, bytes.NewReader(packed)))
				require.True(t, bytes.Equal(data, again.Bytes()))
			}
		})
	}
}

func TestWhatRealProgramsCompressIsRead(t *testing.T) {
	for program, f := range map[string]compression.Format{"gzip": compression.Gzip, "xz": compression.Xz, "zstd": compression.Zstd} {
		t.Run(program, func(t *testing.T) {
			testkit.NeedTool(t, program)
			var packed []byte
			for _, part := range []string{"one ", "two"} { // two streams in a row are one
				out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: program, Args: []string{"-c"}, Stdin: strings.NewReader(part)})
				require.NoError(t, err)
				packed = append(packed, out...)
			}
			var out bytes.Buffer
			require.NoError(t, f.Decompress(t.Context(), tool.Host{}, &out, bytes.NewReader(packed)))
			require.Equal(t, "one two", out.String())
		})
	}
}

func TestTheResultDoesNotDependOnTheNumberOfCores(t *testing.T) {
	data := content(3 << 20)
	for _, f := range []compression.Format{compression.Gzip, compression.Zstd} {
		before := runtime.GOMAXPROCS(1)
		one := compress(t, f, data, false)
		runtime.GOMAXPROCS(max(before, 4))
		many := compress(t, f, data, false)
		runtime.GOMAXPROCS(before)
		require.True(t, bytes.Equal(one, many), f)
	}
}

func TestDamageIsNoticed(t *testing.T) {
	testkit.NeedTool(t, "xz")
	for _, f := range compression.Formats() {
		packed := compress(t, f, content(1<<20), true)
		broken := bytes.Clone(packed)
		broken[len(broken)/2] ^= 0xff
		require.Error(t, f.Decompress(t.Context(), tool.Host{}, io.Discard, bytes.NewReader(broken)), f)
		require.Error(t, f.Decompress(t.Context(), tool.Host{}, io.Discard, bytes.NewReader(packed[:len(packed)-9])), f)
		require.Error(t, f.Decompress(t.Context(), tool.Host{}, io.Discard, strings.NewReader("plain text")), f)
	}
}

type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestFailuresOfOutputAndContextEndTheWork(t *testing.T) {
	data := content(8 << 20)
	cancelled, cancel := context.WithCancelCause(t.Context())
	cancel(errFull)
	for _, f := range []compression.Format{compression.Gzip, compression.Zstd} {
		require.ErrorIs(t, f.Compress(t.Context(), tool.Host{}, full{}, bytes.NewReader(data), true), errFull)
		require.ErrorIs(t, f.Compress(cancelled, tool.Host{}, io.Discard, bytes.NewReader(data), true), errFull)
		require.ErrorIs(t, f.Decompress(t.Context(), tool.Host{}, full{}, bytes.NewReader(compress(t, f, data, true))), errFull)
	}
}

func TestNames(t *testing.T) {
	for _, f := range compression.Formats() {
		got, err := compression.Parse(string(f))
		require.NoError(t, err)
		require.Equal(t, f, got)
		got, ok := compression.ByPath("disk.qcow2" + f.Extension())
		require.True(t, ok)
		require.Equal(t, f, got)
	}
	_, err := compression.Parse("lz4")
	require.EqualError(t, err, `compressor "lz4" is not one of gzip, xz, zstd`)
	_, ok := compression.ByPath("disk.qcow2")
	require.False(t, ok)
}
