package test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/kola"
	"github.com/nestos/nosa-actions/internal/tool/tooltest"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// work makes a work directory with a config of the given files.
func work(t *testing.T, files map[string]string) *workdir.Dir {
	t.Helper()
	t.Chdir(t.TempDir()) // the current directory is searched for tests too
	dir, err := workdir.Create(t.TempDir(), arch.X86_64)
	require.NoError(t, err)
	for name, content := range files {
		path := filepath.Join(dir.Path, "src", name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o755))
	}
	return dir
}

func names(s kola.Selection) []string {
	var out []string
	for _, t := range s.Tests {
		out = append(out, t.Name)
	}
	return out
}

func TestListFindsBuiltInAndTheConfigsTests(t *testing.T) {
	dir := work(t, map[string]string{
		"config/manifest.yaml":            "variables:\n  stream: devel\n  osversion: 9\n",
		"config/tests/kola/motd/test.sh":  "#!/bin/sh\n",
		"config/tests/kola/fcos/test.sh":  "#!/bin/sh\n## kola:\n##   distros: fcos\n\n",
		"config/tests/kola/noisy/test.sh": "#!/bin/sh\n",
		"config/kola-denylist.yaml":       "- pattern: ext.config.noisy\n  streams: [devel]\n  osversion: ['9']\n  tracker: https://example.com/1\n",
	})
	selection, err := List(dir, Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"basic", "ext.config.motd", "inspect", "nestos.filesystem", "nestos.ignition-filesystem", "nestos.reboot"}, names(selection))
	require.Equal(t, []string{"ext.config.noisy: on the denylist: https://example.com/1"}, selection.Notes)

	selection, err = List(dir, Options{Distro: "fcos"})
	require.NoError(t, err)
	require.Equal(t, []string{"basic", "ext.config.fcos", "ext.config.motd", "inspect", "nestos.filesystem", "nestos.ignition-filesystem", "nestos.reboot"}, names(selection))
}

func TestTheVariantsManifestNamesTheStream(t *testing.T) {
	dir := work(t, map[string]string{
		"config.json":               `{"coreos-assembler.config-variant": "edge"}`,
		"config/manifest.yaml":      "variables: {stream: devel}\n",
		"config/manifest-edge.yaml": "variables: {stream: testing}\n",
	})
	name, version, err := stream(dir)
	require.NoError(t, err)
	require.Equal(t, "testing", name)
	require.Empty(t, version)
}

func TestListReportsBadTests(t *testing.T) {
	dir := work(t, map[string]string{"config/tests/kola/a/test.sh": "#!/bin/sh\n## kola:\n##   tag: x\n\n"})
	_, err := List(dir, Options{})
	require.ErrorContains(t, err, `test.sh:3:6: unknown key "tag"; did you mean "tags"?`)
}

func TestRunRefusesBeforeAnythingStarts(t *testing.T) {
	dir := work(t, nil)
	foreign := t.TempDir()
	image := filepath.Join(t.TempDir(), "a.qcow2")
	require.NoError(t, os.WriteFile(image, nil, 0o600))
	for name, c := range map[string]struct {
		dir  *workdir.Dir
		o    Options
		want string
	}{
		"no build":       {dir, Options{}, "no build"},
		"no image":       {dir, Options{Image: "none.qcow2"}, "stat none.qcow2: no such file or directory"},
		"nothing":        {nil, Options{}, "neither a work directory nor an image to test"},
		"platform":       {dir, Options{Platform: "aws"}, `platform "aws" cannot be tested; possible are qemu and qemu-iso`},
		"pattern":        {dir, Options{Image: image, Patterns: []string{"x"}}, `no test fits the pattern "x"`},
		"foreign output": {dir, Options{Image: image, OutputDir: foreign}, "is not one of ours"},
		"bad config":     {dir, Options{Image: image, AppendConfigs: []string{image}}, "not a config (empty)"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Run(t.Context(), tooltest.New(t), nil, c.dir, c.o)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestOutputDir(t *testing.T) {
	dir := work(t, nil)
	here, err := os.Getwd()
	require.NoError(t, err)
	t.Setenv("ARTIFACT_DIR", "")
	for want, o := range map[string]Options{
		filepath.Join(dir.Tmp(), "kola"): {},
		filepath.Join(here, "out"):       {OutputDir: "out"},
	} {
		got, err := o.outputDir(dir)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	got, err := Options{}.outputDir(nil)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(here, "_kola_temp"), got)
	t.Setenv("ARTIFACT_DIR", "/artifacts")
	got, err = Options{}.outputDir(dir)
	require.NoError(t, err)
	require.Equal(t, "/artifacts/kola", got)
}

func TestProperties(t *testing.T) {
	path := filepath.Join(t.TempDir(), "properties.json")
	p := target{arch: arch.X86_64, image: "i", build: "1", commit: "c"}.record(Options{Platform: "qemu", Distro: "nestos"})
	require.NoError(t, p.save(path))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var got properties
	require.NoError(t, json.Unmarshal(data, &got))
	require.Equal(t, p, got)
}

func TestAnUpdateNeedsTwoBuilds(t *testing.T) {
	dir := work(t, nil)
	for name, c := range map[string]struct {
		dir  *workdir.Dir
		o    UpgradeOptions
		want string
	}{
		"no work directory": {nil, UpgradeOptions{}, "not in a work directory"},
		"no build":          {dir, UpgradeOptions{}, "no build"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := RunUpgrade(t.Context(), tooltest.New(t), nil, c.dir, c.o)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestTheBuildBeforeIsFound(t *testing.T) {
	dir := work(t, nil)
	add := func(id, commit string, image bool) {
		tmp, err := dir.BeginBuild(id)
		require.NoError(t, err)
		m := &workdir.Meta{
			BuildID: id, Name: "nestos", OSTreeCommit: commit, OSTreeContentChecksum: commit, OSTreeVersion: id,
			OSTreeTimestamp: "2026-01-01T00:00:00Z", BuildTimestamp: "2026-01-01T00:00:00Z", InputHash: commit, Basearch: "x86_64",
			ImageGenver: new(0), DelayedMetaMerge: new(false),
		}
		if image {
			path := filepath.Join(tmp, "nestos-"+id+"-qemu.x86_64.qcow2")
			require.NoError(t, os.WriteFile(path, []byte(id), 0o644))
			described, err := workdir.DescribeImage(path)
			require.NoError(t, err)
			m.SetImage("qemu", described)
		}
		require.NoError(t, workdir.WriteMeta(tmp, m))
		_, err = dir.Publish(tmp, id)
		require.NoError(t, err)
	}
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	add("1", a, true)
	add("2", b, true)
	add("3", a, false)
	add("4", b, true)
	build, err := dir.Build("4")
	require.NoError(t, err)
	to, err := release(build)
	require.NoError(t, err)

	from, err := UpgradeOptions{}.parent(dir, build, to)
	require.NoError(t, err)
	require.Equal(t, "1", from.build, "3 has no image and 2 the same commit")

	from, err = UpgradeOptions{Parent: "2"}.parent(dir, build, to)
	require.NoError(t, err)
	require.Equal(t, "2", from.build)

	_, err = UpgradeOptions{Parent: "3"}.parent(dir, build, to)
	require.EqualError(t, err, "build 3 has no qemu image to start from")

	oldest, err := dir.Build("1")
	require.NoError(t, err)
	_, err = UpgradeOptions{}.parent(dir, oldest, to)
	require.ErrorContains(t, err, "no build before 1 has a qemu image and another commit; name one by --parent-build")
}
