package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/workdir"
)

// measuresDir is the directory, in the runner's temporary one, in which
// actions/cache keeps what tests of a branch's builds have measured: sizes, and
// times of starts. The action.yml files name it and the beginning of its key too.
const measuresDir = "nosa-measures"

// measuresFormat begins the keys of measures; only branches write them.
const measuresFormat = "nosa-measures-1-branch"

// AdmitMeasures puts what the cache had where the tests look for builds to compare
// with. Without it, or where it is no such file, there is nothing to compare with,
// which is no error.
func (j *Job) AdmitMeasures() error {
	from := filepath.Join(j.temp, measuresDir)
	defer os.RemoveAll(from) //nolint:errcheck // the next run clears it
	text, err := readMeasures(filepath.Join(from, filepath.Base(workdir.MeasuresFile)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		j.Step.Log("what earlier tests of the branch measured is passed over: %v", err)
		return nil
	}
	to := filepath.Join(j.Workdir, workdir.MeasuresFile)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}

func readMeasures(path string) ([]byte, error) {
	text, err := readPlain(path, workdir.MaxMeasures)
	if err == nil && !json.Valid(text) {
		err = fmt.Errorf("%s is not JSON", path)
	}
	return text, err
}

// SaveMeasures lays out what the tests have measured for actions/cache, and returns
// the key to save it under; "" if there is nothing, as of an assembler that does not
// measure, or if the run has none to leave: only branches have. Tests in several jobs,
// each of a name, keep their own.
func (j *Job) SaveMeasures(results, name string, keep Keep) (string, error) {
	event := j.Step.Event()
	if !keep.Use || tierOf(event) != Branch {
		return "", nil
	}
	file := filepath.Base(workdir.MeasuresFile)
	if _, err := os.Stat(filepath.Join(results, file)); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	dir, err := j.Fresh(measuresDir)
	if err != nil {
		return "", err
	}
	key := fmt.Sprintf("%s-%s-%s-%s/%s/%s", measuresFormat, keep.Prefix, j.Step.Machine(), keep.Variant, name, event.RunID)
	return key, copyTo(filepath.Join(results, file), filepath.Join(dir, file))
}
