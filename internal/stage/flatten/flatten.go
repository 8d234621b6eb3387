// Package flatten is the stage that shows what a treefile with all its includes
// comes to.
package flatten

import (
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/manifest"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// Result is a flattened treefile.
type Result struct {
	JSON     []byte         // indented, with sorted keys
	Warnings []diag.Finding // probably not what was meant, but usable
}

// Run flattens the treefile at path for an architecture. What is wrong with it
// comes back as *diag.Errors.
func Run(path string, a arch.Arch) (Result, error) {
	m, err := manifest.Load(path, manifest.Options{Arch: a})
	if err != nil {
		return Result{}, err
	}
	text, err := m.JSON()
	return Result{JSON: text, Warnings: m.Warnings}, err
}

// Treefile is the treefile that fetch and build read in a work directory: that of
// the variant chosen by init. The path is relative where the work directory is
// the current one.
func Treefile(dir *workdir.Dir) (string, error) {
	variant, err := dir.Variant()
	if err != nil {
		return "", err
	}
	name := "manifest.yaml"
	if variant != "" {
		name = "manifest-" + variant + ".yaml"
	}
	path := filepath.Join(dir.Config(), name)
	if here, err := os.Getwd(); err == nil && here == dir.Path {
		path = filepath.Join("src", "config", name)
	}
	return path, nil
}
