// Package artifacts has the artifact service of a workflow runner, for tests and
// measurements: act's server, and the clients that actions/upload-artifact and
// actions/download-artifact are made of.
package artifacts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/tool"
)

// Bundle makes the stand-ins for actions, from test/e2e/actions of the
// repository at root, in the directory out: composite ones are copied, those in
// JavaScript become one file each, as published actions are. What is downloaded
// is kept in the directory state.
func Bundle(ctx context.Context, root, state, out string) error {
	e2e, modules := filepath.Join(root, "test", "e2e"), filepath.Join(state, "npm")
	if err := install(ctx, e2e, modules); err != nil {
		return err
	}
	// The sources must lie below node_modules' directory to find their imports.
	sources := filepath.Join(modules, "actions")
	if err := os.RemoveAll(sources); err != nil {
		return err
	}
	for _, dir := range []string{sources, out} {
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(e2e, "actions"))); err != nil {
			return err
		}
	}
	for _, name := range []string{"upload-artifact", "download-artifact", "cache/restore", "cache/save"} {
		err := run(ctx, modules, filepath.Join(modules, "node_modules", ".bin", "esbuild"), filepath.Join(sources, name, "main.mjs"), "--bundle",
			"--platform=node", "--target=node20", "--keep-names", "--log-level=error", "--outfile="+filepath.Join(out, name, "index.js"))
		if err != nil {
			return err
		}
	}
	return nil
}

// install has npm install what the lockfile names, unless it did so before.
func install(ctx context.Context, e2e, modules string) error {
	if err := os.MkdirAll(modules, 0o755); err != nil {
		return err
	}
	same := true
	for _, name := range []string{"package.json", "package-lock.json"} {
		want, err := os.ReadFile(filepath.Join(e2e, name))
		if err != nil {
			return err
		}
		path := filepath.Join(modules, name)
		if is, err := os.ReadFile(path); err != nil || !bytes.Equal(is, want) {
			same = false
		}
		if err := os.WriteFile(path, want, 0o644); err != nil {
			return err
		}
	}
	_, err := os.Stat(filepath.Join(modules, "node_modules", ".bin", "esbuild"))
	if same && err == nil {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return run(ctx, modules, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
}

func run(ctx context.Context, dir, name string, args ...string) error {
	_, err := tool.Host{}.Run(ctx, tool.Cmd{Name: name, Args: args, Dir: dir, Stdout: os.Stderr, Stderr: os.Stderr})
	if err != nil {
		return fmt.Errorf("prepare the artifact service: %w", err)
	}
	return nil
}
