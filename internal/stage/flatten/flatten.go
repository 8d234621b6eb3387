// Package flatten is the stage that shows what a treefile with all its includes
// comes to.
package flatten

import (
	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/manifest"
)

// Run flattens the treefile at path for an architecture by its rpm name ("":
// this machine's) and returns JSON.
func Run(path, rpmArch string) ([]byte, error) {
	machine, err := arch.Host()
	if rpmArch != "" {
		machine, err = arch.Parse(rpmArch)
	}
	if err != nil {
		return nil, err
	}
	m, err := manifest.Load(path, manifest.Options{Arch: machine})
	if err != nil {
		return nil, err
	}
	return m.JSON()
}
