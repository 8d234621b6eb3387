package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/tools/rpmpool/debtest"
)

// host is this machine but for apt-get, which knows the packages it is given.
type host struct {
	tool.Host
	debs   map[string]string // file name: path
	broken string            // a program that fails
}

func (h host) Run(ctx context.Context, c tool.Cmd) ([]byte, error) {
	if c.Name == h.broken {
		return nil, errors.New(c.Name + ": out of order")
	}
	if c.Name != "apt-get" {
		return h.Host.Run(ctx, c)
	}
	var names []string
	for name := range h.debs {
		names = append(names, name)
	}
	slices.Sort(names)
	if slices.Contains(c.Args, "--print-uris") {
		return []byte("'file:x' " + strings.Join(names, " 1 x\n'file:x' ") + " 1 x\n"), nil
	}
	for _, arg := range c.Args {
		if dir, ok := strings.CutPrefix(arg, "Dir::Cache::archives="); ok {
			for name, path := range h.debs {
				if err := place(path, filepath.Join(dir, name)); err != nil {
					return nil, err
				}
			}
		}
	}
	return nil, nil
}

func testHost(t *testing.T) host {
	testkit.NeedTool(t, "apt-get", "createrepo_c", "rpm")
	control := "Package: NAME\nVersion: 1-1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
	return host{debs: map[string]string{
		"one_1-1_all.deb": debtest.Build(t, debtest.Spec{
			Control: strings.Replace(control, "NAME", "one", 1) + "Depends: two\n", Files: map[string]string{"/bin/one": "1"},
		}),
		"two_1-1_all.deb": debtest.Build(t, debtest.Spec{
			Control: strings.Replace(control, "NAME", "two", 1), Files: map[string]string{"/usr/bin/two": "2"},
		}),
	}}
}

// snapshot is the content of a repository, by name.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		all[strings.TrimPrefix(path, dir)] = string(data)
		return err
	}))
	return all
}

func TestSecondRunConvertsNothingAndGivesTheSame(t *testing.T) {
	h, dir := testHost(t), t.TempDir()
	o := options{Output: filepath.Join(dir, "pool"), Cache: filepath.Join(dir, "cache"), Packages: []string{"one"}, Jobs: 2}

	res, err := build(t.Context(), h, nil, o)
	require.NoError(t, err)
	require.Equal(t, 2, res.Converted)
	require.Equal(t, 4, res.Packages, "with our own two")
	first := snapshot(t, o.Output)
	require.Contains(t, first, "/one-1-1.noarch.rpm")
	require.Contains(t, first, "/repodata/repomd.xml")

	o.Output = filepath.Join(dir, "again")
	res, err = build(t.Context(), h, nil, o)
	require.NoError(t, err)
	require.Equal(t, 2, res.Cached)
	require.Equal(t, first, snapshot(t, o.Output))
}

func TestFailedRunLeavesTheOldRepositoryWhole(t *testing.T) {
	h, dir := testHost(t), t.TempDir()
	o := options{Output: filepath.Join(dir, "pool"), Cache: filepath.Join(dir, "cache"), Packages: []string{"one"}, Jobs: 1}
	_, err := build(t.Context(), h, nil, o)
	require.NoError(t, err)
	before := snapshot(t, o.Output)
	delete(h.debs, "two_1-1_all.deb")
	h.broken = "createrepo_c"

	_, err = build(t.Context(), h, nil, o)
	require.ErrorContains(t, err, "createrepo_c: out of order")
	require.Equal(t, before, snapshot(t, o.Output))

	h.broken = ""
	_, err = build(t.Context(), h, nil, o)
	require.NoError(t, err)
	require.NotContains(t, snapshot(t, o.Output), "/two-1-1.noarch.rpm")
	require.NoDirExists(t, o.Output+".new")
}

func TestForeignDirectoryIsNotReplaced(t *testing.T) {
	h, dir := testHost(t), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "letter.txt"), nil, 0o644))

	_, err := build(t.Context(), h, nil, options{Output: dir, Cache: t.TempDir(), Packages: []string{"one"}, Jobs: 1})

	require.ErrorContains(t, err, "something else than a repository of ours")
	require.FileExists(t, filepath.Join(dir, "letter.txt"))
}

func TestDamagedPackageLeavesNoRPM(t *testing.T) {
	h, dir := testHost(t), t.TempDir()
	data, err := os.ReadFile(h.debs["one_1-1_all.deb"])
	require.NoError(t, err)
	data[len(data)-30] ^= 0xff
	require.NoError(t, os.WriteFile(h.debs["one_1-1_all.deb"], data, 0o644))
	o := options{Output: filepath.Join(dir, "pool"), Cache: filepath.Join(dir, "cache"), Packages: []string{"one"}, Jobs: 1}

	_, err = build(t.Context(), h, nil, o)

	require.ErrorContains(t, err, "convert one_1-1_all.deb: ")
	require.NoDirExists(t, o.Output)
	left, err := filepath.Glob(filepath.Join(o.Cache, "rpms", "*"))
	require.NoError(t, err)
	for _, path := range left {
		_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "rpm", Args: []string{"-K", path}})
		require.NoError(t, err)
	}
}

func TestCommandLine(t *testing.T) {
	o, err := parse([]string{"--output", "x"})
	require.NoError(t, err)
	require.True(t, filepath.IsAbs(o.Output))
	require.Equal(t, o.Output+"-cache", o.Cache)
	require.Contains(t, o.Packages, "systemd")
	require.NotContains(t, strings.Join(o.Packages, " "), "#")

	empty := filepath.Join(t.TempDir(), "list")
	require.NoError(t, os.WriteFile(empty, []byte("# nothing\n\n"), 0o644))
	for want, args := range map[string][]string{
		"--output DIRECTORY is required": nil,
		"--jobs must be at least 1":      {"--output", "x", "--jobs", "0"},
		`unexpected argument "y"`:        {"--output", "x", "y"},
		"names no package":               {"--output", "x", "--packages", empty},
	} {
		_, err := parse(args)
		require.ErrorContains(t, err, want)
	}
}

// TestPoolResolves asks dnf whether everything that the default list names can be
// installed from a pool that was built before; NOSA_POOL is its directory.
func TestPoolResolves(t *testing.T) {
	pool := os.Getenv("NOSA_POOL")
	if pool == "" {
		testkit.Miss(t, "NOSA_POOL names no pool")
	}
	testkit.NeedTool(t, "dnf")
	testkit.NeedRoot(t)
	dir := t.TempDir()
	conf := filepath.Join(dir, "dnf.conf")
	require.NoError(t, os.WriteFile(conf, []byte("[main]\ngpgcheck=0\ninstall_weak_deps=0\n[pool]\nname=pool\nbaseurl=file://"+pool+"\n"), 0o644))
	args := []string{
		"--config", conf, "--setopt=reposdir=/nonexistent", "--setopt=cachedir=" + dir, "--setopt=logdir=" + dir,
		"--releasever=12", "--forcearch=x86_64", "--noplugins", "--installroot=" + filepath.Join(dir, "root"),
		"--assumeno", "install", "nestos-debian-base",
	}
	for _, name := range words(defaultPackages) {
		if !strings.HasSuffix(name, "-") {
			args = append(args, name)
		}
	}

	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "dnf", Args: args})

	require.ErrorContains(t, err, "Operation aborted.", "dnf says no at the very end only when all is resolved")
	require.Contains(t, string(out), "Transaction Summary")
}
