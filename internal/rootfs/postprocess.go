package rootfs

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Script is a postprocess script of the config.
type Script struct {
	Body string
	From string // file:line of the config, for the error
}

// Postprocess runs the config's inline scripts one after the other inside the
// tree, then the external one if path is not empty.
func (t *Tree) Postprocess(ctx context.Context, scripts []Script, path string, live io.Writer) error {
	for i, s := range scripts {
		name := fmt.Sprintf("rpmostree-postprocess-inline-%d", i)
		if err := t.postprocess(ctx, name, []byte(s.Body), live); err != nil {
			return fmt.Errorf("%s: postprocess script: %w", s.From, err)
		}
	}
	if path == "" {
		return nil
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := t.postprocess(ctx, "rpmostree-treefile-postprocess-script", body, live); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (t *Tree) postprocess(ctx context.Context, name string, body []byte, live io.Writer) error {
	inside := "/usr/bin/" + name
	path := filepath.Join(t.Root, inside)
	if err := os.WriteFile(path, body, 0o755); err != nil {
		return err
	}
	defer os.Remove(path)
	return t.run(ctx, sandbox{live: live}, inside)
}
