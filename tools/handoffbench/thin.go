package main

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/handoff"
)

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
