package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/handoff"
	"github.com/nestos/nosa-actions/internal/tool"
)

// parts of the work directory, an artifact each.
var parts = []string{"cache", "builds"}

// way is what one way took, in seconds, and what lay on the server.
type way struct {
	name                           string
	pack, upload, download, unpack float64
	bytes                          int64
}

func (w way) sum() float64 { return w.pack + w.upload + w.download + w.unpack }

func (w way) String() string {
	s := fmt.Sprintf("%-12s", w.name)
	for _, t := range []float64{w.pack, w.upload, w.download, w.unpack} {
		if t == 0 {
			s += fmt.Sprintf(" %9s", "-")
		} else {
			s += fmt.Sprintf(" %8.1fs", t)
		}
	}
	return s + fmt.Sprintf(" %12d", w.bytes)
}

// timed is a step that adds what do takes. What was written before does not
// count.
func timed(sum *float64, step string, do func() error) func() error {
	return func() error {
		fmt.Fprintf(os.Stderr, "%s ...\n", step)
		unix.Sync()
		begin := time.Now()
		if err := do(); err != nil {
			return fmt.Errorf("%s: %w", step, err)
		}
		*sum += time.Since(begin).Seconds()
		return nil
	}
}

// inOrder runs steps until one fails.
func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) fresh(name string) (string, error) {
	dir := filepath.Join(b.dir, name)
	return dir, errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755))
}

func (b *bench) ours(ctx context.Context) (way, error) {
	w := way{name: "ours"}
	packs, err := b.fresh("packs")
	if err != nil {
		return w, err
	}
	in, err := b.fresh("in")
	if err != nil {
		return w, err
	}
	dst, err := b.fresh("ours")
	if err != nil {
		return w, err
	}
	for _, part := range parts {
		name := part + ".tar.zst"
		err := inOrder(
			timed(&w.pack, "pack "+part, func() error {
				_, err := handoff.PackFile(ctx, filepath.Join(packs, name), b.src, handoff.PackOptions{Paths: []string{part}})
				return err
			}),
			timed(&w.upload, "upload", func() error { return b.service.Upload(ctx, "ours-"+part, filepath.Join(packs, name), 0) }),
			timed(&w.download, "download", func() error { return b.service.Download(ctx, "ours-"+part, in) }),
			timed(&w.unpack, "unpack", func() error {
				_, err := handoff.UnpackFile(ctx, filepath.Join(in, name), dst, handoff.UnpackOptions{})
				return err
			}),
		)
		if err != nil {
			return w, err
		}
		size, err := b.service.Size("ours-" + part)
		if err != nil {
			return w, err
		}
		w.bytes += size
	}
	return w, nil
}

func (b *bench) plain(ctx context.Context) (way, error) {
	w := way{name: "artifacts"}
	dst, err := b.fresh("plain")
	if err != nil {
		return w, err
	}
	for _, part := range parts {
		err := inOrder(
			timed(&w.upload, "upload plain "+part, func() error { return b.service.Upload(ctx, "plain-"+part, filepath.Join(b.src, part), 6) }),
			timed(&w.download, "download", func() error { return b.service.Download(ctx, "plain-"+part, filepath.Join(dst, part)) }),
		)
		if err != nil {
			return w, err
		}
		size, err := b.service.Size("plain-" + part)
		if err != nil {
			return w, err
		}
		w.bytes += size
	}
	return w, os.RemoveAll(dst)
}

func (b *bench) tar(ctx context.Context) (way, error) {
	w := way{name: "tar, zstd"}
	dst, err := b.fresh("tar")
	if err != nil {
		return w, err
	}
	file := filepath.Join(b.dir, "plain.tar.zst")
	err = inOrder(
		timed(&w.pack, "tar -cS | zstd -T0", func() error {
			return pipe(ctx, tool.Cmd{Name: "tar", Args: append([]string{"-C", b.src, "-cS"}, parts...)},
				tool.Cmd{Name: "zstd", Args: []string{"-q", "-T0", "-f", "-o", file}})
		}),
		timed(&w.unpack, "zstd -d | tar -xS", func() error {
			return pipe(ctx, tool.Cmd{Name: "zstd", Args: []string{"-dqc", file}}, tool.Cmd{Name: "tar", Args: []string{"-C", dst, "-xS"}})
		}),
	)
	if err != nil {
		return w, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return w, err
	}
	w.bytes = info.Size()
	return w, errors.Join(os.RemoveAll(dst), os.Remove(file))
}

// pipe runs two programs with a pipe of the kernel between them.
func pipe(ctx context.Context, from, to tool.Cmd) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	from.Stdout, to.Stdin = w, r
	g, ctx := errgroup.WithContext(ctx)
	for cmd, end := range map[*tool.Cmd]io.Closer{&from: w, &to: r} {
		g.Go(func() error {
			defer end.Close()
			_, err := tool.Host{}.Run(ctx, *cmd)
			return err
		})
	}
	return g.Wait()
}

func (b *bench) cp(ctx context.Context) (way, error) {
	w := way{name: "cp"}
	dst := filepath.Join(b.dir, "cp")
	err := inOrder(timed(&w.unpack, "cp -a --sparse=always", func() error {
		_, err := tool.Host{}.Run(ctx, tool.Cmd{Name: "cp", Args: []string{"-a", "--sparse=always", b.src, dst}})
		return err
	}))
	return w, errors.Join(err, os.RemoveAll(dst))
}

// thin packs the packages after every twelfth was replaced, on the pack of those
// before, and returns the bytes in parts of a whole pack's.
func (b *bench) thin(ctx context.Context) (float64, error) {
	o := handoff.PackOptions{Paths: []string{"cache"}}
	before, err := handoff.Pack(ctx, io.Discard, b.src, o)
	if err != nil {
		return 0, err
	}
	list, err := filepath.Glob(filepath.Join(b.src, "cache", "rpms", "*"))
	if err != nil {
		return 0, err
	}
	for i := 0; i < len(list); i += 12 {
		data, err := os.ReadFile(list[i])
		if err != nil {
			return 0, err
		}
		for at := range data {
			data[at] ^= 0x55
		}
		if err := os.WriteFile(list[i], data, 0o644); err != nil {
			return 0, err
		}
	}
	var whole, thin counter
	if _, err := handoff.Pack(ctx, &whole, b.src, o); err != nil {
		return 0, err
	}
	o.Base = before.Base("the run before", "")
	if _, err := handoff.Pack(ctx, &thin, b.src, o); err != nil {
		return 0, err
	}
	return float64(thin) / float64(whole), nil
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// same holds what came out against what went in.
func (b *bench) same(ctx context.Context, dst string) error {
	_, err := tool.Host{}.Run(ctx, tool.Cmd{Name: "diff", Args: []string{"--no-dereference", "-r", b.src, dst}})
	return errors.Join(err, os.RemoveAll(dst))
}
