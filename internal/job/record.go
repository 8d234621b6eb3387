package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/atomicfile"
	"github.com/nestos/nosa-actions/internal/report"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// recordDir is the directory, in the runner's temporary one, in which actions/cache
// keeps the record of a branch's last build; the action.yml files name it and the
// beginning of its key too.
const recordDir = "nosa-record"

// recordFormat begins the keys of records; only branches write them.
const recordFormat = "nosa-record-1-branch"

// maxRecord bounds what is read of a record, in bytes.
const maxRecord = 8 << 20

// Record is what a build of a branch leaves for later runs to compare with and to
// foretell from. It comes from a cache and is only ever shown or compared.
type Record struct {
	report.Known
	PackageBytes int64 `json:"package-bytes,omitempty"` // of all package files
	// InputHash and ImageConfig are of what the build was made from.
	InputHash   string `json:"input-hash"`
	ImageConfig string `json:"image-config"`
}

// Same tells whether a build was made from the same.
func (r *Record) Same(m *workdir.Meta) bool {
	return r != nil && r.InputHash != "" && r.InputHash == m.InputHash && r.ImageConfig == m.ImageConfigChecksum
}

// LastRecord reads the record that the cache had. Without one, or with one that
// cannot be read, there is nothing to compare with, which is no error.
func (j *Job) LastRecord() *Record {
	r, err := readRecord(filepath.Join(j.temp, recordDir, "record.json"))
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			j.Step.Log("the record of the branch's last build is passed over: %v", err)
		}
		return nil
	}
	return r
}

func readRecord(path string) (*Record, error) {
	text, err := readPlain(path, maxRecord)
	if err != nil {
		return nil, err
	}
	var r Record
	return &r, json.Unmarshal(text, &r)
}

// readPlain reads a file of at most so many bytes, and nothing that only looks like
// one.
func readPlain(path string, most int64) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > most {
		return nil, fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return text, nil
}

// Keep says whether a record is kept, and under which name.
type Keep struct {
	Use             bool
	Prefix, Variant string
}

// SaveRecord lays out the record of a build for actions/cache, and returns the key
// to save it under; "" if the run has none to leave: only branches have.
func (j *Job) SaveRecord(now report.Known, m *workdir.Meta, keep Keep) (string, error) {
	event := j.Step.Event()
	if tierOf(event) != Branch {
		return "", nil
	}
	r := Record{Known: now, InputHash: m.InputHash, ImageConfig: m.ImageConfigChecksum, PackageBytes: j.fetchedBytes()}
	text, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	dir, err := j.Fresh(recordDir)
	if err != nil {
		return "", err
	}
	key := fmt.Sprintf("%s-%s-%s-%s/%s", recordFormat, keep.Prefix, j.Step.Machine(), keep.Variant, event.RunID)
	return key, atomicfile.Write(filepath.Join(dir, "record.json"), text, 0o644)
}

// Installed are the packages of a build's commit as name.arch and version; nil
// where the assembler has not said.
func Installed(b workdir.Build) (map[string]string, error) {
	path := b.Path("commitmeta.json")
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var m struct {
		Packages [][5]string `json:"rpmostree.rpmdb.pkglist"` // name, epoch, version, release, arch
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	installed := map[string]string{}
	for _, p := range m.Packages {
		version := p[2] + "-" + p[3]
		if p[1] != "0" && p[1] != "" {
			version = p[1] + ":" + version
		}
		installed[p[0]+"."+p[4]] = version
	}
	return installed, nil
}
