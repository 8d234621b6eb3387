package ostree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/nestos/nosa-actions/internal/atomicfile"
)

// Refs are files below refs/ with a checksum and a line break. They are read and
// written here and not by ostree's command line, which takes a name such as "12",
// a fine version of a system, for the beginning of a checksum.

// refName is what libostree takes for a ref (ostree_validate_rev).
var refName = regexp.MustCompile(`^[-.\w]+(/[-.\w]+)*$`)

func isRef(name string) bool {
	return refName.MatchString(name) && filepath.IsLocal(name) && filepath.Clean(name) == name
}

// Resolve returns the commit that a ref names, or "" if there is no such ref.
func (r *Repo) Resolve(ctx context.Context, ref string) (string, error) {
	for _, kind := range []string{"heads", "mirrors", "remotes"} {
		text, err := os.ReadFile(filepath.Join(r.Path, "refs", kind, ref))
		if err == nil {
			return strings.TrimSpace(string(text)), nil
		}
		if !os.IsNotExist(err) {
			return "", err
		}
	}
	return "", ctx.Err()
}

// SetRef lets ref name commit, which is here, whatever it named before.
func (r *Repo) SetRef(ref, commit string) error {
	if !isRef(ref) {
		return fmt.Errorf("%q cannot be the name of a ref: it takes letters, digits, and -._", ref)
	}
	if !r.Has(commit) {
		return fmt.Errorf("ref %s: there is no commit %s", ref, commit)
	}
	path := r.refPath(ref)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(path, []byte(commit+"\n"), 0o644)
}

// DeleteRef removes a ref; a missing one is fine.
func (r *Repo) DeleteRef(ref string) error {
	if !isRef(ref) {
		return nil
	}
	if err := os.Remove(r.refPath(ref)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (r *Repo) refPath(ref string) string { return filepath.Join(r.Path, "refs", "heads", ref) }
