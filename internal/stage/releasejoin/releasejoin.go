// Package releasejoin is the stage that puts files together again that were too
// large for one release asset.
package releasejoin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/streammeta"
	"github.com/nestos/nosa-actions/internal/progress"
)

// Options says what to join.
type Options struct {
	Dir    string        // with the assets of a release, assets.json among them
	Files  []string      // by name; empty: all of which the first part is there
	Remove bool          // remove the parts of a file once it is there
	Log    *progress.Log // may be nil
}

// Run puts files together. Parts and results are verified. It returns the paths
// of the files.
func Run(ctx context.Context, o Options) ([]string, error) {
	dir := o.Dir
	data, err := os.ReadFile(filepath.Join(dir, streammeta.AssetsName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refuse("%s has no %s", "download it from the release page too; it says how the parts fit together", dir, streammeta.AssetsName)
	}
	if err != nil {
		return nil, err
	}
	assets, err := streammeta.ParseAssets(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, streammeta.AssetsName), err)
	}
	todo, err := toJoin(dir, assets, o.Files)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, asset := range todo {
		step := o.Log.Step("join %s of %d parts", asset.Name, len(asset.Parts))
		err := join(ctx, dir, asset)
		step.Stop()
		if err != nil {
			return paths, fmt.Errorf("join %s: %w", asset.Name, err)
		}
		paths = append(paths, filepath.Join(dir, asset.Name))
		if err := removeParts(dir, asset, o.Remove); err != nil {
			return paths, err
		}
	}
	return paths, nil
}

func removeParts(dir string, a streammeta.Asset, remove bool) error {
	if !remove {
		return nil
	}
	for _, p := range a.Parts {
		if err := os.Remove(filepath.Join(dir, p.Name)); err != nil {
			return err
		}
	}
	return nil
}

// toJoin are the split files that are meant.
func toJoin(dir string, assets *streammeta.Assets, only []string) ([]streammeta.Asset, error) {
	var todo []streammeta.Asset
	for _, a := range assets.Assets {
		if len(a.Parts) == 0 {
			continue
		}
		_, err := os.Stat(filepath.Join(dir, a.Parts[0].Name))
		if slices.Contains(only, a.Name) || len(only) == 0 && err == nil {
			todo = append(todo, a)
		}
	}
	for _, name := range only {
		if !slices.ContainsFunc(todo, func(a streammeta.Asset) bool { return a.Name == name }) {
			return nil, refuse("release %s has no split file %s", "see "+streammeta.AssetsName+" for those that are", assets.Release, name)
		}
	}
	if len(todo) == 0 {
		return nil, refuse("%s has no parts of split files", "download all parts of a file into one directory", dir)
	}
	return todo, nil
}

// join makes one file of its parts; it appears when it is right.
func join(ctx context.Context, dir string, a streammeta.Asset) (err error) {
	path := filepath.Join(dir, a.Name)
	out, err := os.CreateTemp(dir, "."+a.Name+".*")
	if err != nil {
		return err
	}
	defer func() {
		out.Close()
		if err != nil {
			os.Remove(out.Name())
		}
	}()
	whole := sha256.New()
	for _, p := range a.Parts {
		if err := appendPart(ctx, out, whole, filepath.Join(dir, p.Name), p); err != nil {
			return err
		}
	}
	if got := hex.EncodeToString(whole.Sum(nil)); got != a.SHA256 {
		return fmt.Errorf("the parts give the sha256 %s instead of %s", got, a.SHA256)
	}
	if err := errors.Join(out.Chmod(0o644), out.Sync(), out.Close()); err != nil {
		return err
	}
	return os.Rename(out.Name(), path)
}

func appendPart(ctx context.Context, out, whole io.Writer, path string, p streammeta.Part) error {
	in, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return refuse("part %s is not here", "download it from the release page", p.Name)
	}
	if err != nil {
		return err
	}
	defer in.Close()
	sum := sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(struct{ io.Writer }{out}, whole, sum), guarded{ctx, in}, make([]byte, 1<<20))
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); n != p.Size || got != p.SHA256 {
		return refuse("part %s has the sha256 %s instead of %s", "download it again", p.Name, got, p.SHA256)
	}
	return nil
}

// guarded ends with its context; parts are large.
type guarded struct {
	ctx context.Context
	r   io.Reader
}

func (g guarded) Read(p []byte) (int, error) {
	if g.ctx.Err() != nil {
		return 0, context.Cause(g.ctx)
	}
	return g.r.Read(p)
}

func refuse(message, mend string, args ...any) error {
	var found diag.List
	found.Add(diag.Finding{Message: fmt.Sprintf(message, args...), Mend: mend})
	return found.Err()
}
