package security_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

// A hunt looks for secrets in all that was made, in archives and compressed
// files too.
type hunt struct {
	t     testing.TB
	forms []form
	found map[string]string // name of a secret: where it is
	bytes int64             // that were looked at
}

// form is a secret as it may be written.
type form struct {
	name string
	text []byte
}

// newHunt takes the secrets by name.
func newHunt(t testing.TB, secrets map[string]string) *hunt {
	h := &hunt{t: t, found: map[string]string{}}
	for name, secret := range secrets {
		forms := []string{secret, url.QueryEscape(secret), url.PathEscape(secret), hex.EncodeToString([]byte(secret))}
		for _, coding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			// In the midst of other text its code depends on where it begins; the
			// outer characters hold bits of the text beside it.
			for shift := range 3 {
				coded := coding.WithPadding(base64.NoPadding).EncodeToString(append(make([]byte, shift), secret...))
				forms = append(forms, coded[4:len(coded)-2])
			}
		}
		for _, f := range forms {
			h.forms = append(h.forms, form{name, []byte(f)})
		}
	}
	return h
}

// text looks at what a place such as a log holds.
func (h *hunt) text(place, text string) { h.stream(place, bytes.NewReader([]byte(text))) }

// tree looks at all files below a directory, and at their names.
func (h *hunt) tree(dir string) {
	h.t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		h.text(path, path)
		if d.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(path)
			h.text(path, target)
			return err
		}
		if !d.Type().IsRegular() {
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		h.stream(path, f)
		return nil
	})
	require.NoError(h.t, err)
}

// stream looks at bytes as they are, and at what they hold if they are compressed
// or an archive.
func (h *hunt) stream(place string, r io.Reader) {
	in := bufio.NewReaderSize(r, 64<<10)
	head, _ := in.Peek(512)
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		unpacked, err := gzip.NewReader(in)
		require.NoError(h.t, err, place)
		h.stream(place+" unpacked", unpacked)
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		unpacked, err := zstd.NewReader(in)
		require.NoError(h.t, err, place)
		defer unpacked.Close()
		h.stream(place+" unpacked", unpacked)
	case len(head) == 512 && string(head[257:262]) == "ustar":
		h.archive(place, in)
	default:
		h.scan(place, in)
	}
}

func (h *hunt) archive(place string, r io.Reader) {
	// What the reader skips, such as headers, is looked at as well.
	raw, pipe := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.scan(place, raw)
	}()
	tee := io.TeeReader(r, pipe)
	archive := tar.NewReader(tee)
	for {
		header, err := archive.Next()
		if err == io.EOF {
			break
		}
		require.NoError(h.t, err, place)
		if header.Typeflag == tar.TypeReg {
			h.nested(place+": "+header.Name, archive)
		}
	}
	_, err := io.Copy(io.Discard, tee)
	require.NoError(h.t, err)
	require.NoError(h.t, pipe.Close())
	<-done
}

// nested looks into members that are compressed or archives; others are seen as a
// part of what they are in.
func (h *hunt) nested(place string, r io.Reader) {
	in := bufio.NewReaderSize(r, 4096)
	head, _ := in.Peek(512)
	if bytes.HasPrefix(head, []byte{0x1f, 0x8b}) || bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}) ||
		len(head) == 512 && string(head[257:262]) == "ustar" {
		h.stream(place, in)
	}
}

// scan searches in blocks that overlap by more than any form is long.
func (h *hunt) scan(place string, r io.Reader) {
	const block, overlap = 1 << 20, 4 << 10
	buffer := make([]byte, 0, block+overlap)
	for {
		kept := len(buffer)
		n, err := io.ReadFull(r, buffer[kept:kept+block])
		buffer = buffer[:kept+n]
		h.bytes += int64(n)
		for _, f := range h.forms {
			if _, known := h.found[f.name]; !known && bytes.Contains(buffer, f.text) {
				h.found[f.name] = place
			}
		}
		if err != nil {
			if err != io.EOF && err != io.ErrUnexpectedEOF {
				h.t.Errorf("%s: %v", place, err)
			}
			return
		}
		buffer = buffer[:copy(buffer, buffer[max(0, len(buffer)-overlap):])]
	}
}

// The search finds what it is for, in every form and at every depth.
func TestTheHuntFindsWhatIsHidden(t *testing.T) {
	const secret = "s3cr/t+of 40 characters and a few more %"
	pack := func(body string) []byte {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		archive := tar.NewWriter(z)
		require.NoError(t, archive.WriteHeader(&tar.Header{Name: "a", Size: int64(len(body)), Mode: 0o644}))
		_, err := archive.Write([]byte(body))
		require.NoError(t, err)
		require.NoError(t, archive.Close())
		require.NoError(t, z.Close())
		return out.Bytes()
	}
	zs, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	for name, content := range map[string][]byte{
		"plain": []byte("x" + secret), "in a URL": []byte("https://a:" + url.QueryEscape(secret) + "@b"),
		"as a header": []byte("basic " + base64.StdEncoding.EncodeToString([]byte("me:"+secret))),
		"base64":      []byte(base64.URLEncoding.EncodeToString([]byte("token:" + secret + "\n"))),
		"in archives": zs.EncodeAll(pack(string(pack("x"+secret))), nil),
		"late":        append(bytes.Repeat([]byte("x"), 1<<20-5), secret...),
	} {
		h := newHunt(t, map[string]string{"it": secret, "other": "another secret of that length"})
		h.text(name, string(content))
		require.Contains(t, h.found, "it", name)
		require.NotContains(t, h.found, "other", name)
	}
}
