package actiontest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// Nosa is the main of a program that stands behind the seam in place of nosa:
// it records how it was called in nosa.log, checks that what a stage needs is
// there, and leaves the files that the stage would leave, through workdir.
//
// A config steers it by files: "say-NAME" is printed on standard error by that
// stage, "print-NAME" on standard output, "hang-NAME" makes it hang once it has
// written to the named pipe in the file, and "fail-NAME" makes it fail with the
// status in the file; "break-kola" makes it fail before it has verdicts. "foreign" has text for whatever a build or a test names.
func Nosa() {
	err := record(os.Args[1:])
	if err == nil {
		err = stage(os.Args[1], os.Args[2:])
	}
	if err == nil {
		os.Exit(0)
	}
	var status exit
	if errors.As(err, &status) {
		os.Exit(int(status))
	}
	fmt.Fprintln(os.Stderr, "error:", err)
	os.Exit(1)
}

type exit int

func (e exit) Error() string { return fmt.Sprint(int(e)) }

func record(args []string) error {
	f, err := os.OpenFile("nosa.log", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	env := os.Environ()
	slices.Sort(env)
	_, err = fmt.Fprintf(f, "nosa %s\nenv %s\n", strings.Join(args, " "), strings.Join(env, " "))
	return err
}

func stage(name string, args []string) error {
	host, err := arch.Host()
	if err != nil {
		return err
	}
	if name == "init" {
		return initialise(host, args)
	}
	d, err := workdir.Open(".", host)
	if err != nil {
		return err
	}
	if said, err := os.ReadFile(filepath.Join(d.Config(), "say-"+name)); err == nil {
		os.Stderr.Write(said)
	}
	if printed, err := os.ReadFile(filepath.Join(d.Config(), "print-"+name)); err == nil {
		os.Stdout.Write(printed)
	}
	if pipe, err := os.ReadFile(filepath.Join(d.Config(), "hang-"+name)); err == nil {
		return hang(d, strings.TrimSpace(string(pipe)))
	}
	if _, err := os.Stat(filepath.Join(d.Config(), "break-"+name)); err == nil {
		output := outputDir(args)
		return errors.Join(os.MkdirAll(output, 0o755), os.WriteFile(filepath.Join(output, "console.txt"), []byte("a guest"), 0o644), exit(1))
	}
	if status, err := os.ReadFile(filepath.Join(d.Config(), "fail-"+name)); err == nil {
		var code int
		fmt.Sscan(string(status), &code)
		err = exit(code)
		if name == "kola" {
			err = errors.Join(test(d, args, "FAIL"), err)
		}
		return err
	}
	switch name {
	case "validate":
		return validate(d)
	case "fetch":
		return fetch(d)
	case "build":
		return build(d, args)
	case "kola":
		return test(d, args, "PASS")
	case "export-repo":
		return exportRepo(d, args)
	}
	platform, ok := strings.CutPrefix(name, "buildextend-")
	if !ok && name != "buildextend" {
		return fmt.Errorf("unknown command: %s", name)
	}
	platforms := []string{platform}
	if !ok {
		platforms = slices.DeleteFunc(args, func(a string) bool { return strings.HasPrefix(a, "-") })
	}
	for _, platform := range platforms {
		if err := extend(d, platform); err != nil {
			return err
		}
	}
	return nil
}

// hang leaves half a package, says through a named pipe that it is at work, and
// then takes an hour.
func hang(d *workdir.Dir, pipe string) error {
	if err := os.MkdirAll(d.PackagesDir(), 0o755); err != nil {
		return err
	}
	half := os.WriteFile(filepath.Join(d.PackagesDir(), "a-1-1.noarch.rpm"), []byte("first"), 0o644)
	if err := errors.Join(half, os.WriteFile(pipe, []byte("at work"), 0)); err != nil {
		return err
	}
	time.Sleep(time.Hour)
	return errors.New("nobody stopped it")
}

func initialise(host arch.Arch, args []string) error {
	if err := os.MkdirAll("src", 0o755); err != nil {
		return err
	}
	if err := os.Symlink(args[0], "src/config"); err != nil {
		return err
	}
	_, err := workdir.Create(".", host)
	return err
}

// validate prints the file validate.json of the config, with status 1 if it
// speaks of errors; without one there is nothing to say.
func validate(d *workdir.Dir) error {
	said, err := os.ReadFile(filepath.Join(d.Config(), "validate.json"))
	if errors.Is(err, fs.ErrNotExist) {
		said = []byte(`{"findings": []}`)
	} else if err != nil {
		return err
	}
	os.Stdout.Write(said)
	if strings.Contains(string(said), `"error"`) {
		return exit(1)
	}
	return nil
}

func fetch(d *workdir.Dir) error {
	if err := os.MkdirAll(filepath.Join(d.Cache(), "rpms"), 0o755); err != nil {
		return err
	}
	for name, content := range map[string]string{
		"rpms/a-1-1.noarch.rpm": "first package\n", "rpms/b-2-1.x86_64.rpm": "second\n", "fetched-stamp": "",
		"packages.json": `{"packages": [{"file": "a-1-1.noarch.rpm", "size": 14}, {"file": "b-2-1.x86_64.rpm", "size": 7}]}`,
	} {
		// As nosa does: what is here already and right is left alone.
		if is, err := os.ReadFile(filepath.Join(d.Cache(), name)); err == nil && string(is) == content {
			continue
		}
		if err := os.RemoveAll(filepath.Join(d.Cache(), name)); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(d.Cache(), name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func build(d *workdir.Dir, args []string) error {
	if _, err := os.Stat(filepath.Join(d.Cache(), "fetched-stamp")); err != nil {
		return errors.New("must fetch before building")
	}
	tmp, err := d.BeginBuild("")
	if err != nil {
		return err
	}
	m := &workdir.Meta{
		BuildID: "1.0", Name: "mini", OSTreeVersion: "1.0", OSTreeTimestamp: "2025-01-14T08:00:00Z", Basearch: d.Arch.RPM,
		Ref:          "mini/" + d.Arch.RPM + "/stable",
		OSTreeCommit: strings.Repeat("6d", 32), OSTreeContentChecksum: strings.Repeat("a1", 32), InputHash: strings.Repeat("77", 32),
		BuildTimestamp: "2025-01-14T08:03:10Z", ImageGenver: new(0), DelayedMetaMerge: new(slices.Contains(args, "--delay-meta-merge")),
	}
	if err := artifact(tmp, m, "ostree", "mini-1.0-ostree."+d.Arch.RPM+".ociarchive"); err != nil {
		return err
	}
	if text := foreign(d, ""); text != "" {
		change, err := json.Marshal([]any{text, 2, map[string]any{"PreviousPackage": []string{text, text, text}, "NewPackage": []string{text, text, text}}})
		if err != nil {
			return err
		}
		m.PkgDiff = []json.RawMessage{change}
	}
	packages := [][5]string{{"a", "0", "1", "1", "noarch"}, {"b", "0", "2", "1", "x86_64"}}
	if err := workdir.WriteCommitMeta(tmp, map[string]any{"rpmostree.rpmdb.pkglist": packages}); err != nil {
		return err
	}
	if err := workdir.WriteMeta(tmp, m); err != nil {
		return err
	}
	_, err = d.Publish(tmp, m.BuildID)
	return err
}

func extend(d *workdir.Dir, platform string) error {
	b, err := d.Latest()
	if err != nil {
		return err
	}
	if _, path, err := b.Image("ostree"); err != nil {
		return err
	} else if _, err := os.Stat(path); err != nil {
		return err
	}
	m, err := b.ArtifactMeta(platform)
	if err != nil {
		return err
	}
	for _, name := range workdir.StageArtifacts(platform) {
		if err := artifact(b.Dir, m, name, "mini-1.0-"+name+"."+d.Arch.RPM+".img"); err != nil {
			return err
		}
	}
	return b.Merge(platform, m)
}

// exportRepo leaves the tar file of the architecture that is asked for.
func exportRepo(d *workdir.Dir, args []string) error {
	name, ok := strings.CutPrefix(args[0], "--arch=")
	if !ok {
		return fmt.Errorf("export-repo %q", args)
	}
	var err error
	if d.Arch, err = arch.Parse(name); err != nil {
		return err
	}
	b, err := d.Build(strings.TrimPrefix(args[1], "--build="))
	if err != nil {
		return err
	}
	return os.WriteFile(b.Path(workdir.RepoArchiveName("mini", b.ID, name)), []byte("repository for "+name), 0o644)
}

// foreign is the text that a config wants to be told, or otherwise.
func foreign(d *workdir.Dir, otherwise string) string {
	if text, err := os.ReadFile(filepath.Join(d.Config(), "foreign")); err == nil {
		return string(text)
	}
	return otherwise
}

// artifact makes a file of the build, with holes as images have them.
func artifact(dir string, m *workdir.Meta, name, file string) error {
	path := filepath.Join(dir, file)
	if err := os.WriteFile(path, []byte("content of "+name), 0o644); err != nil {
		return err
	}
	if err := os.Truncate(path, 8<<20); err != nil {
		return err
	}
	image, err := workdir.DescribeImage(path)
	if err != nil {
		return err
	}
	m.SetImage(name, image)
	return nil
}
