package kola

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/diag"
)

// tree writes files below a new directory "config"; names that end in .sh or
// have no dot are executable.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "config")
	require.NoError(t, os.Mkdir(dir, 0o755))
	for name, content := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		mode := os.FileMode(0o644)
		if ext := filepath.Ext(name); ext == ".sh" || ext == "" {
			mode = 0o755
		}
		require.NoError(t, os.WriteFile(path, []byte(content), mode))
	}
	return dir
}

func TestDiscoverNamesTests(t *testing.T) {
	dir := tree(t, map[string]string{
		"tests/kola/root-reprovision/luks/test.sh":     script + "##   minMemory: 4096\n\n",
		"tests/kola/root-reprovision/luks/config.bu":   "variant: fcos\nversion: 1.4.0\n",
		"tests/kola/root-reprovision/luks/config.ign":  `{"ignition":{"version":"3.3.0"}}`,
		"tests/kola/root-reprovision/luks/data/lib.sh": "true\n",
		"tests/kola/files/license":                     "#!/bin/sh\n",
		"tests/kola/files/other":                       "#!/bin/sh\n",
		"tests/kola/files/notes.txt":                   "nothing\n",
		"tests/kola/files/forgotten.py":                "#!/usr/bin/python3\n",
		"tests/kola/json/test.sh":                      "#!/bin/sh\n",
		"tests/kola/json/kola.json":                    `{"tags":"fast"}`,
		"tests/kola/json/own.d/test.sh":                script + "\n",
	})
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "shared"), 0o755))
	require.NoError(t, os.Symlink(filepath.Join(dir, "shared"), filepath.Join(dir, "tests/kola/files/data")))

	var list diag.List
	cases, err := Discover(dir, &list)

	require.NoError(t, err)
	require.NoError(t, list.Err())
	var names []string
	for _, c := range cases {
		names = append(names, c.Name)
	}
	require.Equal(t, []string{
		"ext.config.files.license", "ext.config.files.other", "ext.config.json", "ext.config.json.own.d",
		"ext.config.root-reprovision.luks",
	}, names)
	require.Equal(t, filepath.Join(dir, "tests/kola/files/data"), cases[0].Data)
	require.Equal(t, []string{"external"}, cases[0].Tags())
	require.Equal(t, []string{"fast", "external"}, cases[2].Tags(), "kola.json is the default of its directory")
	require.Equal(t, []string{"external"}, cases[3].Tags(), "and of no other")
	luks := cases[4]
	require.Equal(t, 4096, luks.Meta.MinMemoryMiB)
	require.Equal(t, "config.ign", filepath.Base(luks.Config.Name), "config.ign wins")
	require.NotEmpty(t, luks.Data)
	require.Len(t, list.Findings, 1)
	require.Equal(t, filepath.Join(dir, "tests/kola/files/forgotten.py")+": warning: script is not executable and thus no test", list.Findings[0].String())
}

func TestDiscoverWithoutTests(t *testing.T) {
	var list diag.List
	cases, err := Discover(t.TempDir(), &list)
	require.NoError(t, err)
	require.Empty(t, cases)
}

func TestDiscoverReportsAllThatIsWrong(t *testing.T) {
	dir := tree(t, map[string]string{
		"tests/kola/a/test.sh":    script + "##   minDisc: 1\n\n",
		"tests/kola/b/test.sh":    script + "\n",
		"tests/kola/b/config.ign": `{"ignition":{"version":"3.3.0"},"storage":{"files":[{"path":"x"}]}}`,
		"tests/kola/c/config.fcc": "",
	})
	require.NoError(t, os.Symlink("..", filepath.Join(dir, "tests/kola/c/loop")))
	var list diag.List
	_, err := Discover(dir, &list)
	require.NoError(t, err)
	err = list.Err()
	require.ErrorContains(t, err, `test.sh:3:6: unknown key "minDisc"; did you mean "minDisk"?`)
	require.ErrorContains(t, err, "b/config.ign:1:61: $.storage.files.0.path: path not absolute")
	require.ErrorContains(t, err, "config.fcc is not read any more; rename it to config.bu")
	require.ErrorContains(t, err, "symbolic link leads back to")
}

func TestReadConfigTranslatesButane(t *testing.T) {
	path := filepath.Join(tree(t, map[string]string{
		"a.bu": "variant: fcos\nversion: 1.4.0\nstorage:\n  files:\n    - {path: /etc/a, contents: {local: part}}\n",
		"part": "text",
	}), "a.bu")
	config, warnings, err := ReadConfig(path)
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Contains(t, string(config.JSON), "data:,text")
}
