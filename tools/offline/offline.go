// Package offline is what the demonstration and the measurement share: a config
// repository, the package pool that stands for the network, and the program to
// run on them.
package offline

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// Setup says what to run on what. All paths are absolute after ParseFlags.
type Setup struct {
	Nosa   string // the program
	Config string // config repository
	Pool   string // package repository
}

// ParseFlags reads the command line: the setup's own flags and those that were
// defined before. It makes the more paths absolute too.
func (s *Setup) ParseFlags(more ...*string) error {
	flag.StringVar(&s.Nosa, "nosa", "bin/nosa", "the nosa program")
	flag.StringVar(&s.Config, "config", "examples/nestos-mini", "config repository")
	flag.StringVar(&s.Pool, "pool", ".cache/pool", "package repository")
	flag.Parse()
	for _, path := range append([]*string{&s.Nosa, &s.Config, &s.Pool}, more...) {
		abs, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = abs
	}
	return nil
}

// WriteRepo makes a directory for nosa init --yumrepos, with the pool as its one
// repository.
func (s *Setup) WriteRepo(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text := fmt.Sprintf("[pool]\nname=Offline packages\nbaseurl=file://%s\nenabled=1\ngpgcheck=0\n", s.Pool)
	return os.WriteFile(filepath.Join(dir, "pool.repo"), []byte(text), 0o644)
}
