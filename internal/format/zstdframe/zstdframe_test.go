package zstdframe_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/format/zstdframe"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

const frameSize = 64 << 10

func noise(t testing.TB, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	_, err := rand.Read(b)
	require.NoError(t, err)
	return b
}

func write(t testing.TB, content []byte, o zstdframe.Options) []byte {
	t.Helper()
	var b bytes.Buffer
	if o.FrameSize == 0 {
		o.FrameSize = frameSize
	}
	w, err := zstdframe.NewWriter(&b, o)
	require.NoError(t, err)
	_, err = w.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func read(t testing.TB, r io.Reader) ([]byte, error) {
	t.Helper()
	z, err := zstdframe.NewReader(r, zstdframe.ReaderOptions{MaxFrame: frameSize})
	require.NoError(t, err)
	defer func() { require.NoError(t, z.Close()) }()
	return io.ReadAll(z)
}

func contents(t testing.TB) map[string][]byte {
	text := []byte(strings.Repeat("the quick brown fox jumps over the lazy dog ", 20_000))
	random := noise(t, 5*frameSize+77)
	return map[string][]byte{
		"nothing": {}, "one byte": {7}, "text": text, "random": random, "one frame": random[:frameSize],
		"mixed": bytes.Join([][]byte{random[:frameSize/2], text, random, text[:100]}, nil),
	}
}

func TestContentSurvives(t *testing.T) {
	for name, content := range contents(t) {
		for _, store := range []bool{false, true} {
			data := write(t, content, zstdframe.Options{Store: store})
			got, err := read(t, bytes.NewReader(data))
			require.NoError(t, err, name)
			require.True(t, bytes.Equal(content, got), name)
			got, err = read(t, iotest.OneByteReader(bytes.NewReader(data)))
			require.NoError(t, err, name)
			require.True(t, bytes.Equal(content, got), name)
		}
	}
}

// The judge is the reference implementation, checksums included.
func TestZstdReadsWhatIsWritten(t *testing.T) {
	testkit.NeedTool(t, "zstd")
	for name, content := range contents(t) {
		data := write(t, content, zstdframe.Options{Store: true})
		got, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "zstd", Args: []string{"-dc"}, Stdin: bytes.NewReader(data)})
		require.NoError(t, err, name)
		require.True(t, bytes.Equal(content, got), name)

		if len(content) > frameSize {
			data[len(data)-1] ^= 1
			_, err = tool.Host{}.Run(t.Context(), tool.Cmd{Name: "zstd", Args: []string{"-dc"}, Stdin: bytes.NewReader(data)})
			require.Error(t, err, name)
		}
	}
}

func TestOneStreamOfAnotherProgramIsRead(t *testing.T) {
	testkit.NeedTool(t, "zstd")
	content := noise(t, 1000)
	data, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "zstd", Args: []string{"-c", "--stream-size=1000"}, Stdin: bytes.NewReader(content)})
	require.NoError(t, err)

	got, err := read(t, bytes.NewReader(append([]byte("\x50\x2a\x4d\x18\x03\x00\x00\x00abc"), data...))) // with a skippable frame

	require.NoError(t, err)
	require.Equal(t, content, got)
}

func TestCoresDoNotChangeTheBytes(t *testing.T) {
	content := contents(t)["mixed"]
	one := write(t, content, zstdframe.Options{Store: true, Workers: 1})
	require.True(t, bytes.Equal(one, write(t, content, zstdframe.Options{Store: true, Workers: 7})))
}

func TestReadFromIsAsWrite(t *testing.T) {
	content := contents(t)["mixed"]
	var b bytes.Buffer
	w, err := zstdframe.NewWriter(&b, zstdframe.Options{FrameSize: frameSize})
	require.NoError(t, err)
	n, err := w.ReadFrom(iotest.HalfReader(bytes.NewReader(content)))
	require.NoError(t, err)
	require.EqualValues(t, len(content), n)
	require.NoError(t, w.Close())
	require.True(t, bytes.Equal(write(t, content, zstdframe.Options{}), b.Bytes()))
}

func TestBrokenInputIsRefused(t *testing.T) {
	content := contents(t)["mixed"]
	data := write(t, content, zstdframe.Options{Store: true})
	for i := range 50 {
		cut := 1 + (len(data)-2)*i/49
		got, err := read(t, bytes.NewReader(data[:cut]))
		if err == nil { // between two frames; what is there is whole
			require.True(t, bytes.HasPrefix(content, got))
			require.Zero(t, len(got)%frameSize)
		}
	}
	large := write(t, content, zstdframe.Options{FrameSize: 2 * frameSize})
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"large frame":     {large, "a frame of more than 65536 bytes"},
		"no zstd":         {[]byte("PK\x03\x04 this is a zip file"), "zstd"},
		"cut in a header": {data[:5], "unexpected EOF"},
		"cut in a block":  {data[:1000], "unexpected EOF"},
		// A block of zeros that says it is 64 KiB + 1 long.
		"bomb": {append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x30}, 0x0b, 0x00, 0x08, 0x00), "zstd"},
		// Blocks of nothing, for ever.
		"empty blocks": {append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x30}, make([]byte, 3*frameSize)...), "a frame of more than 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(t, bytes.NewReader(c.data))
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestErrorsOfInputAndOutputAreTold(t *testing.T) {
	broken := errors.New("broken")
	_, err := read(t, iotest.ErrReader(broken))
	require.ErrorIs(t, err, broken)

	w, err := zstdframe.NewWriter(failing{broken}, zstdframe.Options{FrameSize: frameSize})
	require.NoError(t, err)
	for err == nil {
		_, err = w.Write(noise(t, frameSize))
	}
	require.ErrorIs(t, w.Close(), broken)
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestAReaderCanBeLeftEarlyAndClosedTwice(t *testing.T) {
	data := write(t, noise(t, 100*frameSize), zstdframe.Options{Store: true})
	z, err := zstdframe.NewReader(bytes.NewReader(data), zstdframe.ReaderOptions{MaxFrame: frameSize})
	require.NoError(t, err)
	_, err = z.Read(make([]byte, 10))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.NoError(t, z.Close())
	_, err = z.Read(make([]byte, 10))
	require.ErrorContains(t, err, "read after close")
}

// What was lent stays as it is while the next frames come in, and when it is given
// back late, from other goroutines.
func TestWhatIsLentStays(t *testing.T) {
	content := bytes.Repeat(contents(t)["mixed"], 4)
	z, err := zstdframe.NewReader(bytes.NewReader(write(t, content, zstdframe.Options{Store: true})),
		zstdframe.ReaderOptions{MaxFrame: frameSize, Workers: 2})
	require.NoError(t, err)
	defer z.Close()
	var got bytes.Buffer
	loans := make(chan func(), 1000)
	written := make(chan struct{})
	go func() {
		defer close(written)
		for write := range loans {
			write()
		}
	}()
	for {
		lent, giveBack, err := z.Lend(10_000)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.NotEmpty(t, lent)
		require.LessOrEqual(t, len(lent), 10_000)
		loans <- func() { got.Write(lent); giveBack() }
	}
	close(loans)
	<-written
	require.True(t, bytes.Equal(content, got.Bytes()))
}

// A stored frame is not decompressed; its checksum and size are held to all the same.
func TestStoredFramesAreChecked(t *testing.T) {
	good := write(t, noise(t, 3*frameSize), zstdframe.Options{Store: true, FrameSize: 60_000})
	_, err := read(t, bytes.NewReader(good))
	require.NoError(t, err)
	for at, says := range map[int]string{
		5: "size", 1000: "CRC", len(good) - 1: "CRC",
	} {
		bad := bytes.Clone(good)
		bad[at] ^= 1
		_, err := read(t, bytes.NewReader(bad))
		require.ErrorContains(t, err, says, "byte %d", at)
	}
}

// FuzzReader holds our reader against the library's own: what it accepts is the
// same content.
func FuzzReader(f *testing.F) {
	for _, content := range contents(f) {
		f.Add(write(f, content[:min(len(content), 2000)], zstdframe.Options{Store: true, FrameSize: 500}))
	}
	f.Add([]byte("\x50\x2a\x4d\x18\x03\x00\x00\x00abc"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := read(t, bytes.NewReader(data))
		if err != nil {
			return
		}
		d, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1))
		require.NoError(t, err)
		defer d.Close()
		want, err := io.ReadAll(d)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
	})
}
