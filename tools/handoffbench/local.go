package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/tool"
)

// local does what needs no server, in rounds, and returns the most memory that our
// processes had.
func (b *bench) local(ctx context.Context, ours, tar, cp *way) (int64, error) {
	var took [5][]float64
	var peak int64
	for range b.rounds {
		var t [5]float64
		most, err := b.round(ctx, &t)
		if err != nil {
			return 0, err
		}
		peak = max(peak, most)
		for i := range t {
			took[i] = append(took[i], t[i])
		}
	}
	ours.pack, tar.pack, ours.unpack, tar.unpack, cp.unpack = median(took[0]), median(took[1]), median(took[2]), median(took[3]), median(took[4])
	for _, part := range parts {
		ours.bytes += size(b.packed(part))
	}
	tar.bytes = size(b.tarball())
	return peak, os.Remove(b.tarball())
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

func size(file string) int64 {
	info, err := os.Stat(file)
	if err != nil {
		return 0
	}
	return info.Size()
}

func (b *bench) packed(part string) string { return filepath.Join(b.dir, part+".tar.zst") }
func (b *bench) tarball() string           { return filepath.Join(b.dir, "plain.tar.zst") }

// round does all once: we pack, tar packs, we unpack, tar unpacks, cp copies.
func (b *bench) round(ctx context.Context, t *[5]float64) (peak int64, err error) {
	dst := filepath.Join(b.dir, "unpacked")
	fresh := func() error { return errors.Join(os.RemoveAll(dst), os.Mkdir(dst, 0o755)) }
	ours := func(args ...string) error {
		most, err := b.start(ctx, args...)
		peak = max(peak, most)
		return err
	}
	var steps []func() error
	for _, part := range parts {
		steps = append(steps, b.timed(ctx, &t[0], "pack "+part, func() error { return ours("pack", b.packed(part), b.src, part) }))
	}
	steps = append(steps, b.timed(ctx, &t[1], "tar -cS | zstd -T0", func() error {
		return pipe(ctx, tool.Cmd{Name: "tar", Args: append([]string{"-C", b.src, "-cS"}, parts...)},
			tool.Cmd{Name: "zstd", Args: []string{"-q", "-T0", "-f", "-o", b.tarball()}})
	}), fresh)
	for _, part := range parts {
		steps = append(steps, b.timed(ctx, &t[2], "unpack "+part, func() error { return ours("unpack", b.packed(part), dst) }))
	}
	steps = append(steps, fresh, b.timed(ctx, &t[3], "zstd -d | tar -xS", func() error {
		return pipe(ctx, tool.Cmd{Name: "zstd", Args: []string{"-dqc", b.tarball()}}, tool.Cmd{Name: "tar", Args: []string{"-C", dst, "-xS"}})
	}), fresh, b.timed(ctx, &t[4], "cp -a --sparse=always", func() error { return b.cp(ctx, dst) }))
	err = inOrder(steps...)
	return peak, err
}

func (b *bench) cp(ctx context.Context, dst string) error {
	_, err := tool.Host{}.Run(ctx, tool.Cmd{Name: "cp", Args: []string{"-a", "--sparse=always", b.src, dst}})
	return err
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

// same holds what comes out against what went in. It reads the holes, too, which
// drives other things out of memory.
func (b *bench) same(ctx context.Context) error {
	dst, err := b.fresh("unpacked")
	if err != nil {
		return err
	}
	for _, part := range parts {
		if _, err := b.start(ctx, "unpack", b.packed(part), dst); err != nil {
			return err
		}
	}
	_, err = tool.Host{}.Run(ctx, tool.Cmd{Name: "diff", Args: []string{"--no-dereference", "-r", b.src, dst}})
	return errors.Join(err, os.RemoveAll(dst))
}
