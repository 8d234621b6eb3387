package container

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Validate finds, in one go, what engines would trip over late or pass over in
// silence: a runtime starts a container without a mount whose source is missing.
func (s RunSpec) Validate() error {
	var wrong []error
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if s.Image.ID == "" {
		add("no image; pull it first")
	}
	if len(s.Command) == 0 || s.Command[0] == "" {
		add("no command")
	}
	if s.WorkingDir != "" && !filepath.IsAbs(s.WorkingDir) {
		add("working directory %q is not absolute", s.WorkingDir)
	}
	for _, entry := range s.Env {
		if name, _, ok := strings.Cut(entry, "="); !ok || name == "" || strings.ContainsRune(entry, 0) {
			add("environment entry %q is not NAME=VALUE", name)
		}
	}
	targets := map[string]bool{}
	for _, m := range s.Mounts {
		wrong = append(wrong, m.validate(targets))
	}
	for _, dir := range s.TmpFS {
		if !filepath.IsAbs(dir) {
			add("tmpfs %q is not absolute", dir)
		}
	}
	for _, path := range s.Devices {
		wrong = append(wrong, validateDevice(path))
	}
	return errors.Join(wrong...)
}

func (m Mount) validate(targets map[string]bool) error {
	target := filepath.Clean(m.Target)
	switch {
	case !filepath.IsAbs(m.Source) || !filepath.IsAbs(m.Target) || target == "/":
		return fmt.Errorf("mount of %q at %q: both must be absolute, and not the root", m.Source, m.Target)
	case strings.ContainsAny(m.Source+m.Target, ":,\n"):
		return fmt.Errorf("mount of %q at %q: engines take no colon, comma or line break in a path", m.Source, m.Target)
	case targets[target]:
		return fmt.Errorf("mount at %q: there are two", m.Target)
	}
	targets[target] = true
	if _, err := os.Stat(m.Source); err != nil {
		return fmt.Errorf("mount at %s: %w", m.Target, err)
	}
	return nil
}

func validateDevice(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("device: %w", err)
	}
	if info.Mode()&os.ModeDevice == 0 {
		return fmt.Errorf("device %s is none", path)
	}
	return nil
}

// Validate checks what a build is made from.
func (s BuildSpec) Validate() error {
	if _, err := os.Stat(s.Containerfile); err != nil {
		return fmt.Errorf("containerfile: %w", err)
	}
	if info, err := os.Stat(s.Context); err != nil || !info.IsDir() {
		return fmt.Errorf("build context %q is not a directory", s.Context)
	}
	return nil
}
