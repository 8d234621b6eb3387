package job

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/tool"
)

// overrideKinds are the directories of a work directory's overrides: packages that
// replace the repositories', and files that are laid over the tree.
var overrideKinds = []string{"rpm", "rootfs"}

// TakeOverrides copies a directory with overrides into the work directory, in place of
// those that are there, so that the pack for the build has them too. It tells whether
// packages are among them. From "" it takes nothing.
func (j *Job) TakeOverrides(ctx context.Context, from string) (packages bool, err error) {
	if from == "" {
		return false, nil
	}
	taken := 0
	for _, kind := range overrideKinds {
		source, target := filepath.Join(j.Inside(from), kind), filepath.Join(j.Workdir, "overrides", kind)
		if info, err := os.Stat(source); err != nil || !info.IsDir() {
			source = ""
		}
		n, err := replace(ctx, target, source)
		if err != nil {
			return false, fmt.Errorf("input overrides: %w", err)
		}
		taken += n
		packages = packages || kind == "rpm" && n > 0
	}
	if taken > 0 {
		return packages, nil
	}
	var found diag.List
	found.Add(diag.Finding{
		Message: fmt.Sprintf("input overrides: %q has nothing in rpm/ nor in rootfs/", from),
		Mend:    "put packages into rpm/, files for the tree into rootfs/, or leave the input empty",
	})
	return false, found.Err()
}

// replace makes target a copy of the directory source, which may be "", and counts what
// lies in it.
func replace(ctx context.Context, target, source string) (int, error) {
	if err := errors.Join(os.RemoveAll(target), os.MkdirAll(target, 0o755)); err != nil || source == "" {
		return 0, err
	}
	_, err := tool.Host{}.Run(ctx, tool.Cmd{Name: "cp", Args: []string{"-a", "--reflink=auto", "--", source + "/.", target}})
	if err != nil {
		return 0, err
	}
	list, err := os.ReadDir(target)
	return len(list), err
}

// overrides are the paths, relative to the work directory, of overrides that there are.
func (j *Job) overrides() ([]string, error) {
	var paths []string
	for _, kind := range overrideKinds {
		path := filepath.Join("overrides", kind)
		list, err := os.ReadDir(filepath.Join(j.Workdir, path))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if len(list) > 0 {
			paths = append(paths, path)
		}
	}
	return paths, nil
}
