package kola

import (
	"embed"
	"io/fs"
	"os"
	"path"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/machine"
)

// scripts are the built-in tests that are written as external ones are: NAME/
// test.sh with its header, and perhaps NAME/config.ign.
//
//go:embed builtin
var scripts embed.FS

// Builtin returns the tests that are compiled in.
func Builtin() ([]Case, error) {
	basic, err := basicCase()
	if err != nil {
		return nil, err
	}
	out := []Case{basic}
	names, err := fs.ReadDir(scripts, "builtin")
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		c, err := scripted(n.Name())
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// scripted reads one of the scripts.
func scripted(name string) (Case, error) {
	dir := path.Join("builtin", name)
	text, err := scripts.ReadFile(path.Join(dir, "test.sh"))
	if err != nil {
		return Case{}, err
	}
	var found diag.List
	c := Case{Name: "nestos." + name, Script: text}
	c.Meta, _ = ParseHeader(path.Join(dir, "test.sh"), text, &found)
	if config, err := scripts.ReadFile(path.Join(dir, "config.ign")); err == nil {
		c.Config = machine.Config{Name: "config of " + c.Name, JSON: config}
	}
	return c, found.Err()
}

// isScript tells whether the test is a program that runs in the guest, and not a
// list of checks.
func (c Case) isScript() bool { return c.Executable != "" || c.Script != nil }

// content is that of the test's executable.
func (c Case) content() ([]byte, error) {
	if c.Script != nil {
		return c.Script, nil
	}
	return os.ReadFile(c.Executable)
}
