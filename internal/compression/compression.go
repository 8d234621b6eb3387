// Package compression compresses streams, and undoes it, on all cores: gzip and
// zstd by libraries, xz by the host's program.
package compression

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/klauspost/pgzip"

	"github.com/nestos/nosa-actions/internal/format/zstdframe"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Format is a way to compress, by its name on command lines and in image.yaml.
type Format string

const (
	Gzip Format = "gzip"
	Xz   Format = "xz"
	Zstd Format = "zstd"
)

var extensions = map[Format]string{Gzip: ".gz", Xz: ".xz", Zstd: ".zst"}

// Formats lists all formats.
func Formats() []Format { return []Format{Gzip, Xz, Zstd} }

// Parse finds a format by its name.
func Parse(name string) (Format, error) {
	var names []string
	for _, f := range Formats() {
		if name == string(f) {
			return f, nil
		}
		names = append(names, string(f))
	}
	return "", fmt.Errorf("compressor %q is not one of %s", name, strings.Join(names, ", "))
}

// ByPath tells by its extension how a file is compressed; ok is false if it is
// not, or in another way.
func ByPath(path string) (f Format, ok bool) {
	for f, ext := range extensions {
		if filepath.Ext(path) == ext {
			return f, true
		}
	}
	return "", false
}

// Extension is what the format adds to a file's name, with its dot.
func (f Format) Extension() string { return extensions[f] }

// blockSize is what one core compresses at a time, in bytes. It decides the
// output, which must not depend on the machine.
const blockSize = 1 << 20

// frameSize is the same for zstd, which gains from more.
const frameSize = 16 << 20

// Compress writes to w what it reads from r, compressed. The result depends on
// the content alone, for xz also on the program's version. fast trades size for
// time.
func (f Format) Compress(ctx context.Context, run tool.Runner, w io.Writer, r io.Reader, fast bool) error {
	r = reader{ctx, r}
	out := &output{w: w}
	switch f {
	case Gzip:
		level := 6
		if fast {
			level = 1
		}
		z, err := pgzip.NewWriterLevel(out, level)
		if err != nil {
			return err
		}
		if err := z.SetConcurrency(blockSize, 2*runtime.GOMAXPROCS(0)); err != nil {
			return err
		}
		return drain(z, out, r)
	case Zstd:
		level := zstd.SpeedBetterCompression
		if fast {
			level = zstd.SpeedFastest
		}
		z, err := zstdframe.NewWriter(out, zstdframe.Options{Level: level, FrameSize: frameSize})
		if err != nil {
			return err
		}
		return drain(z, out, r)
	case Xz:
		level := "-9"
		if fast {
			level = "-0"
		}
		return xz(ctx, run, w, r, level, "-T0")
	}
	return fmt.Errorf("unknown compressor %q", f)
}

// drain copies all of r into z, which writes to out, and closes z even on an
// error: its workers wait.
func drain(z io.WriteCloser, out *output, r io.Reader) error {
	_, err := io.Copy(z, r)
	if closeErr := z.Close(); err == nil {
		err = closeErr
	}
	if out.err != nil {
		return out.err
	}
	return err
}

// output remembers why writing failed, for which pgzip only has "short write".
type output struct {
	w   io.Writer
	err error // to be read when nobody writes any more
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if err != nil && o.err == nil {
		o.err = err
	}
	return n, err
}

// Decompress undoes Compress; several streams after each other are read as one.
func (f Format) Decompress(ctx context.Context, run tool.Runner, w io.Writer, r io.Reader) error {
	r = reader{ctx, r}
	out := &output{w: w}
	var err error
	switch f {
	case Gzip:
		err = gunzip(out, r)
	case Zstd:
		err = unzstd(out, r)
	case Xz:
		return xz(ctx, run, w, r, "--decompress", "-T0")
	default:
		return fmt.Errorf("unknown compressor %q", f)
	}
	if out.err != nil {
		return out.err
	}
	return err
}

func gunzip(w io.Writer, r io.Reader) error {
	z, err := pgzip.NewReader(r)
	if err != nil {
		return err
	}
	defer z.Close()
	_, err = z.WriteTo(w)
	return err
}

func unzstd(w io.Writer, r io.Reader) error {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(0))
	if err != nil {
		return err
	}
	defer z.Close()
	_, err = z.WriteTo(w)
	return err
}

func xz(ctx context.Context, run tool.Runner, w io.Writer, r io.Reader, args ...string) error {
	// Only a writer that is no file keeps its count of what passes through.
	_, err := run.Run(ctx, tool.Cmd{Name: "xz", Args: append(args, "--stdout"), Stdin: r, Stdout: struct{ io.Writer }{w}})
	return err
}

// reader ends when its context does; images are large.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}
