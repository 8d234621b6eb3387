package workdir

import (
	"errors"
	"io/fs"
	"os"

	"github.com/nestos/nosa-actions/internal/atomicfile"
)

// MeasuresFile is where a work directory has what builds of other machines were
// measured to be like, relative to its top: what a test run left as MeasuresFile's
// base name among its results. A fresh machine of a CI has no earlier builds.
const MeasuresFile = "cache/measures.json"

// MaxMeasures bounds what is read of MeasuresFile, in bytes: it may come from a cache.
const MaxMeasures = 64 << 20

// Rewrite changes a file beside a build, one process at a time. The change is given
// its content, nil if there is none yet.
func (b Build) Rewrite(name string, change func(old []byte) ([]byte, error)) error {
	release, err := lock(b.Path(name))
	if err != nil {
		return err
	}
	defer release()
	old, err := os.ReadFile(b.Path(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text, err := change(old)
	if err != nil {
		return err
	}
	return atomicfile.Write(b.Path(name), text, 0o644)
}
