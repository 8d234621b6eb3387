package workdir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// FetchedPackage is what others than nosa may want to know of a fetched package.
type FetchedPackage struct {
	File string `json:"file"` // name of the file in the directory of packages
	Size int64  `json:"size"` // bytes
}

// PackagesDir is the directory of fetched packages.
func (d *Dir) PackagesDir() string { return filepath.Join(d.Cache(), "rpms") }

// Fetched lists the packages that nosa fetch has brought, those that only a
// compose with overrides needs too. It is empty where another assembler keeps its
// packages in its own way.
func (d *Dir) Fetched() ([]FetchedPackage, error) {
	path := filepath.Join(d.Cache(), "packages.json")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var record struct {
		Packages []FetchedPackage `json:"packages"`
		Extra    []FetchedPackage `json:"override-needs"`
	}
	if err := json.Unmarshal(text, &record); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	list := append(record.Packages, record.Extra...)
	for _, p := range list {
		if p.File != filepath.Base(p.File) || !filepath.IsLocal(p.File) || p.File == "." {
			return nil, fmt.Errorf("%s: %q is no file name", path, p.File)
		}
	}
	return list, nil
}
