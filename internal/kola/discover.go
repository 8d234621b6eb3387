package kola

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/machine"
)

// Case is one test.
type Case struct {
	Name string
	Meta Meta
	// Checks make up a built-in test; an external one has none.
	Checks []Check
	// Config is the Ignition config of the guest; its JSON may be empty.
	Config machine.Config
	// ConfigWarnings is what the validator had to say about Config.
	ConfigWarnings []string

	Executable string // of an external test
	Script     []byte // of a built-in test that is written like one
	native     native // of a built-in test that drives its guest itself
	Data       string // directory that goes with it; may be empty
}

// Tags are the test's tags; external tests carry "external" too.
func (c Case) Tags() []string {
	if c.Executable == "" || slices.Contains(c.Meta.Tags, "external") {
		return c.Meta.Tags
	}
	return append(slices.Clone(c.Meta.Tags), "external")
}

// HasTag tells whether the test carries a tag.
func (c Case) HasTag(tag string) bool { return slices.Contains(c.Tags(), tag) }

// Discover finds the external tests below DIR/tests/kola, sorted by name; a DIR
// without it has none. What is wrong with them is gathered in list.
func Discover(dir string, list *diag.List) ([]Case, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	return DiscoverAs(filepath.Base(abs), dir, list)
}

// DiscoverAs is Discover with another name than that of DIR in the names of the
// tests: those of a config are called ext.config wherever it lies.
func DiscoverAs(name, dir string, list *diag.List) ([]Case, error) {
	root := filepath.Join(dir, "tests", "kola")
	if _, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	d := discovery{list: list}
	if err := d.walk(root, "ext."+name, nil); err != nil {
		return nil, fmt.Errorf("tests of %s: %w", dir, err)
	}
	slices.SortFunc(d.cases, func(a, b Case) int { return strings.Compare(a.Name, b.Name) })
	return d.cases, nil
}

type discovery struct {
	list  *diag.List
	cases []Case
}

// directory is what one directory holds for its tests.
type directory struct {
	executables []string
	config      string
	data        string
	defaults    Meta
	subs        []string
}

// walk follows symbolic links; above are the directories that lead here, so
// that a link that leads back is noticed.
func (d *discovery) walk(dir, name string, above []string) error {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	if slices.Contains(above, real) {
		d.list.Addf(diag.Pos{File: dir}, "symbolic link leads back to %s", real)
		return nil
	}
	content, err := d.read(dir)
	if err != nil {
		return err
	}
	for _, sub := range content.subs {
		if err := d.walk(filepath.Join(dir, sub), name+"."+sub, append(above, real)); err != nil {
			return err
		}
	}
	config, warnings := d.readConfig(content.config)
	for _, exe := range content.executables {
		full := name + "." + exe
		if len(content.executables) == 1 && exe == "test.sh" {
			full = name
		}
		c := Case{
			Name: full, Executable: filepath.Join(dir, exe), Data: content.data,
			Config: config, ConfigWarnings: warnings, Meta: content.defaults,
		}
		head, err := readHead(c.Executable)
		if err != nil {
			d.unreadable(c.Executable, err)
			continue
		}
		if meta, found := ParseHeader(c.Executable, head, d.list); found {
			c.Meta = meta
		}
		d.cases = append(d.cases, c)
	}
	return nil
}

// read sorts the entries of a directory by what they are for.
func (d *discovery) read(dir string) (directory, error) {
	var out directory
	entries, err := os.ReadDir(dir)
	if err != nil {
		return out, err
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		info, err := os.Stat(path) // follows links
		if err != nil {
			d.unreadable(path, err)
			continue
		}
		switch name := entry.Name(); {
		case info.IsDir() && name == "data":
			out.data = path
		case info.IsDir():
			out.subs = append(out.subs, name)
		case !info.Mode().IsRegular():
		case name == "config.ign" || name == "config.bu":
			out.config = path // config.ign comes later and wins
		case name == "config.fcc":
			d.list.Add(diag.Finding{Pos: diag.Pos{File: path}, Message: "config.fcc is not read any more", Mend: "rename it to config.bu"})
		case name == "kola.json":
			data, err := os.ReadFile(path)
			if err != nil {
				d.unreadable(path, err)
				continue
			}
			out.defaults = parseKolaJSON(path, data, d.list)
		case info.Mode()&0o001 != 0:
			out.executables = append(out.executables, name)
		default:
			d.warnScript(path)
		}
	}
	return out, nil
}

// unreadable reports a file that cannot be looked at, such as a symbolic link
// that leads nowhere.
func (d *discovery) unreadable(path string, err error) {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err
	}
	d.list.Addf(diag.Pos{File: path}, "%v", err)
}

// readHead reads as much of a test as a header may take.
func readHead(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, headerLimit))
}

// warnScript tells of a script that is no test because it cannot be executed.
func (d *discovery) warnScript(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	var head [2]byte
	if n, _ := f.Read(head[:]); bytes.Equal(head[:n], []byte("#!")) {
		d.list.Warnf(diag.Pos{File: path}, "script is not executable and thus no test")
	}
}

func (d *discovery) readConfig(path string) (machine.Config, []string) {
	if path == "" {
		return machine.Config{}, nil
	}
	config, warnings, err := ReadConfig(path)
	if wrong, ok := errors.AsType[*machine.ConfigError](err); ok {
		d.list.Findings = append(d.list.Findings, wrong.Findings()...)
	} else if err != nil {
		d.unreadable(path, err)
	}
	return config, warnings
}

// ReadConfig reads and checks an Ignition config, or translates a Butane one by
// its extension .bu. Warnings are returned as text.
func ReadConfig(path string) (machine.Config, []string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return machine.Config{}, nil, err
	}
	config := machine.Config{Name: path, JSON: data}
	var warnings []string
	if filepath.Ext(path) == ".bu" {
		if config, warnings, err = machine.FromButane(path, data, filepath.Dir(path)); err != nil {
			return machine.Config{}, nil, err
		}
	}
	_, more, err := machine.Merge(config)
	return config, append(warnings, more...), err
}
