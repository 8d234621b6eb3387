package rpmrepo

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/nestos/nosa-actions/internal/atomicfile"
)

// Fetched is the record that fetch leaves in the cache and build composes from.
type Fetched struct {
	// PackagesDigest is that of the config that was fetched for; see
	// configrepo.Config.
	PackagesDigest string `json:"packages-digest"`
	Solution
	// Extra are packages that only a compose with the developer's overrides
	// needs; see Override.
	Extra []Package `json:"override-needs,omitempty"`
}

// ErrNotFetched is returned when a cache holds no record.
var ErrNotFetched = errors.New("nothing has been fetched")

// Cache is the layout of the cache directory.
type Cache string

// Packages is the directory of the package files.
func (c Cache) Packages() string { return filepath.Join(string(c), "rpms") }

// Metadata is the directory of repository metadata.
func (c Cache) Metadata() string { return filepath.Join(string(c), "repodata") }

// Stamp is the file whose presence says that fetch has run.
func (c Cache) Stamp() string { return filepath.Join(string(c), "fetched-stamp") }

func (c Cache) record() string { return filepath.Join(string(c), "packages.json") }

// Load reads the record.
func (c Cache) Load() (*Fetched, error) {
	text, err := os.ReadFile(c.record())
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNotFetched
	}
	if err != nil {
		return nil, err
	}
	f, err := parseRecord(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; run nosa fetch again", c.record(), err)
	}
	return f, nil
}

// parseRecord reads a record. It may come from another machine: no name leads
// out of the directory of packages.
func parseRecord(text []byte) (*Fetched, error) {
	var f Fetched
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, err
	}
	for _, p := range slices.Concat(f.Packages, f.Extra) {
		if p.File == "" || p.File == "." || p.File == ".." || p.File != filepath.Base(p.File) {
			return nil, fmt.Errorf("%q is no file name", p.File)
		}
	}
	return &f, nil
}

// Save writes the record, and then the stamp.
func (c Cache) Save(f *Fetched) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.Write(c.record(), append(text, '\n'), 0o644); err != nil {
		return err
	}
	return atomicfile.Write(c.Stamp(), nil, 0o644)
}

// maxStale is how many bytes of files that are no longer wanted may lie in the
// cache, for the time when somebody goes back to an older config.
const maxStale = 5 << 30

// Prune removes the files that the record does not name, once they are many.
func (c Cache) Prune(f *Fetched) error {
	wanted := map[string]bool{}
	for _, p := range slices.Concat(f.Packages, f.Extra) {
		wanted[p.File] = true
	}
	entries, err := os.ReadDir(c.Packages())
	if err != nil {
		return err
	}
	var stale []string
	var size int64
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || wanted[e.Name()] {
			continue
		}
		stale = append(stale, filepath.Join(c.Packages(), e.Name()))
		size += info.Size()
	}
	if size <= maxStale {
		return nil
	}
	for _, path := range stale {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}
