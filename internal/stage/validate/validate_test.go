package validate_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/stage/validate"
)

const (
	goodManifest = `variables: {stream: stable}
ref: os/${basearch}/${stream}
rojig: {name: os, summary: s, license: l}
automatic-version-prefix: "1"
releasever: "12"
packages: [bash]
ostree-layers: [overlay/05core]
`
	goodTest = "#!/bin/sh\n## kola:\n##   architectures: x86_64\n\ntrue\n"
)

// good are the files of a config in which nothing is wrong.
func good() map[string]string {
	return map[string]string{
		"manifest.yaml": goodManifest, "image.yaml": "size: 8\n", "platforms.yaml": "{}\n",
		"os.repo":                       "[os]\nbaseurl=http://os\n",
		"overlay.d/05core/etc/motd":     "hello\n",
		"overlay.d/05core/statoverride": "# modes\n=288 /etc/motd\n",
		"overlay.d/README.md":           "not an overlay\n",
		"tests/kola/motd/test.sh":       goodTest,
		"tests/kola/motd/data/lib.sh":   "true\n",
		"kola-denylist.yaml":            "- pattern: ext.config.mo*\n  snooze: 2030-01-01\n  streams: [stable]\n",
		"manifest-lock.x86_64.json":     `{"packages": {"bash": {"evra": "5.1-1.x86_64"}}}`,
	}
}

// config writes a good config with other files in it ("": without the file).
// Tests are executable.
func config(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	all := good()
	for name, text := range files {
		all[name] = text
	}
	for name, text := range all {
		if text == "" {
			continue
		}
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		mode := os.FileMode(0o644)
		if filepath.Base(name) == "test.sh" {
			mode = 0o755
		}
		require.NoError(t, os.WriteFile(path, []byte(text), mode))
	}
	return dir
}

var now = time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)

// findings are those of a config, one a line, with files relative to it.
func findings(t testing.TB, dir string, change ...func(*validate.Options)) []string {
	t.Helper()
	o := validate.Options{Dir: dir, Arch: arch.X86_64, Now: now}
	for _, c := range change {
		c(&o)
	}
	result, err := validate.Run(t.Context(), o)
	require.NoError(t, err)
	lines := []string{}
	for _, f := range result.Findings {
		lines = append(lines, strings.ReplaceAll(f.String(), dir+"/", ""))
	}
	return lines
}

func whole(o *validate.Options) { o.Whole = true }

func TestNothingIsSaidOfAGoodConfig(t *testing.T) {
	require.Empty(t, findings(t, config(t, nil), whole))
	mini := filepath.Join("..", "..", "..", "examples", "nestos-mini")
	require.Equal(t, []string{
		mini + ": warning: there is no .repo file, and so nowhere to get packages from; add one, or give a directory with some by nosa init --yumrepos",
	}, findings(t, mini))
}

func TestFindings(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"unknown key of the manifest": {
			map[string]string{"manifest.yaml": goodManifest + "pakages: [x]\n"},
			[]string{`manifest.yaml:8:1: unknown key "pakages"; did you mean "packages"?`},
		},
		"no manifest": {
			map[string]string{"manifest.yaml": ""},
			[]string{"manifest.yaml: is missing; a config repository needs it"},
		},
		"image": {
			map[string]string{"image.yaml": "size: 10G\ncolour: red\n"},
			[]string{
				`image.yaml:1:7: size: must be a whole number of GiB without a unit, not the string "10G"; write for example 10`,
				`image.yaml:2:1: warning: unknown key "colour"`,
			},
		},
		"remote without ref": {
			map[string]string{"image.yaml": "size: 8\nostree-remote: os\n", "manifest.yaml": strings.Replace(goodManifest, "ref:", "# ref:", 1)},
			[]string{`image.yaml: ostree-remote is "os", but the treefile sets no ref`},
		},
		"no platforms": {
			map[string]string{"platforms.yaml": ""},
			[]string{"platforms.yaml: warning: is missing; disk images need it; it may be empty"},
		},
		"platforms": {
			map[string]string{"platforms.yaml": "x86_64:\n  qemu:\n    kernel_argument: [a]\n"},
			[]string{`platforms.yaml:3:5: unknown key "x86_64.qemu.kernel_argument"; did you mean "kernel_arguments"?`},
		},
		"obsolete": {
			map[string]string{"overlay/etc/x": "x", "image.ks": "x"},
			[]string{
				"image.ks: is no longer read; kickstart support is gone; write image.yaml",
				"overlay: is no longer read; move its content to overlay.d/NAME and list overlay/NAME under ostree-layers",
			},
		},
		"layer without overlay": {
			map[string]string{"manifest.yaml": goodManifest + "ostree-override-layers: [overlay/05cor, overlay/contentset, other/commit]\n"},
			[]string{`manifest.yaml:8:26: layer "overlay/05cor": there is no directory overlay.d/05cor; did you mean "overlay/05core"?`},
		},
		"overlay without layer": {
			map[string]string{"overlay.d/20more/etc/x": "x"},
			[]string{"overlay.d/20more: warning: no manifest uses this overlay; list overlay/20more under ostree-layers"},
		},
		"overlay of another architecture": {
			map[string]string{
				"overlay.d/20more/etc/x": "x",
				"manifest.yaml":          goodManifest + "arch-include: {aarch64: arm.yaml}\n",
				"arm.yaml":               "ostree-layers: [overlay/20more]\n",
			},
			[]string{},
		},
		"statoverride": {
			map[string]string{"overlay.d/05core/statoverride": "=288 /etc/motd\n=0440 /etc/motd\n=384 /etc/nothere\n=u+s /etc/motd\n+64 etc/motd\n=384\n"},
			[]string{
				"overlay.d/05core/statoverride:2:1: warning: mode 0440 is read as decimal, which is 0670; write 288 if 0440 was meant",
				"overlay.d/05core/statoverride:3:1: the overlay has no /etc/nothere",
				`overlay.d/05core/statoverride:4:1: "=u+s /etc/motd" is no line of a statoverride; write =MODE PATH or +MODE PATH with MODE in decimal, for example =288 /etc/sudoers.d/x for 0440`,
				`overlay.d/05core/statoverride:5:1: path "etc/motd" is not absolute; begin it with /`,
				`overlay.d/05core/statoverride:6:1: "=384" is no line of a statoverride; write =MODE PATH or +MODE PATH with MODE in decimal, for example =288 /etc/sudoers.d/x for 0440`,
			},
		},
		"lockfiles": {
			map[string]string{
				"manifest-lock.x86_64.yaml":            "packages: {}\n",
				"manifest-lock.overrides.yaml":         "packages:\n  bash:\n    evr: 5.1\n  zsh:\n    version: 1-1\n",
				"manifest-lock.overrides.aarch64.yaml": "pakages: {}\n",
				"manifest-lock.override.yaml":          "packages: {}\n",
			},
			[]string{
				"manifest-lock.override.yaml: warning: nothing reads a lockfile of this name; did you mean manifest-lock.overrides.yaml?",
				`manifest-lock.overrides.aarch64.yaml:1:1: packages is required`,
				`manifest-lock.overrides.aarch64.yaml:1:1: unknown key "pakages"; did you mean "packages"?`,
				`manifest-lock.overrides.yaml:3:10: packages.bash.evr: must be a string, not the number 5.1; put it in quotes`,
				`manifest-lock.overrides.yaml:5:5: packages.zsh: must have one of evra and evr`,
				`manifest-lock.overrides.yaml:5:5: unknown key "packages.zsh.version"`,
				"manifest-lock.x86_64.json: both manifest-lock.x86_64.json and manifest-lock.x86_64.yaml exist; remove one",
			},
		},
		"repo file": {
			map[string]string{"os.repo": "[os]\nenabled=maybe\nbaseurl=http://os\n"},
			[]string{"os.repo:2:1: enabled=maybe is not a truth value; use 0 or 1"},
		},
		"repository that is nowhere": {
			map[string]string{"manifest.yaml": goodManifest + "repos: [os, more]\n"},
			[]string{`manifest.yaml:8:13: repository "more" is in none of the .repo files`},
		},
		"no repo file": {
			map[string]string{"os.repo": ""},
			[]string{"CONFIG: there is no .repo file, and so nowhere to get packages from; add one, or give a directory with some by nosa init --yumrepos"},
		},
		"test header": {
			map[string]string{
				"tests/kola/motd/test.sh":    "#!/bin/sh\n## kola:\n##   timeoutMins: 3\n##   exclusive: maybe\n\n",
				"tests/kola/motd/config.ign": `{"ignition":{"version":"3.3.0"},"storage":{"files":[{"path":"x"}]}}`,
				"tests/kola/odd/test.sh":     "#!/bin/sh\n## kola:\n##   architectures: \"!x86-64\"\n##   platforms: quemu\n\n",
				"tests/kola/odd/check.py":    "#!/usr/bin/python3\n",
			},
			[]string{
				"tests/kola/motd/config.ign:1:61: $.storage.files.0.path: path not absolute",
				`tests/kola/motd/test.sh:3:6: unknown key "timeoutMins"; did you mean "timeoutMin"?`,
				"tests/kola/motd/test.sh:4:17: exclusive: must be true or false",
				"tests/kola/odd/check.py: warning: script is not executable and thus no test",
				`tests/kola/odd/test.sh:3:21: warning: architectures: "x86-64" is not known; did you mean "x86_64"?`,
				`tests/kola/odd/test.sh:4:17: warning: platforms: "quemu" is not known; did you mean "qemu"?`,
			},
		},
		"denylist": {
			map[string]string{
				"kola-denylist.yaml": "- pattern: fcos.internet\n- pattern: basic\n  snooze: tomorrow\n- pattern: ext.*\n  snooze: 2021-10-25\n  archs: [x86_64]\n  osversion: ['9']\n" +
					"- pattern: skip-console-warnings\n  streams: stable\n- pattern: basic\n  arches: [arm64]\n",
			},
			[]string{
				`kola-denylist.yaml:1:12: warning: pattern "fcos.internet" fits no test of this config and none that is built in`,
				`kola-denylist.yaml:3:11: [1].snooze: "tomorrow" is not a date of the form YYYY-MM-DD`,
				`kola-denylist.yaml:4:12: warning: osversion of "ext.*" is no condition: manifest.yaml itself sets no variables.osversion`,
				`kola-denylist.yaml:4:12: warning: the snooze of "ext.*" ended on 2021-10-25; its tests run again; remove the entry, or move the date`,
				`kola-denylist.yaml:6:3: warning: unknown key "[2].archs"; did you mean "arches"?`,
				`kola-denylist.yaml:9:12: [3].streams: must be a list, not the string "stable"`,
				`kola-denylist.yaml:11:12: warning: [4].arches[0]: "arm64" is not known; known are x86_64, aarch64, ppc64le, s390x, riscv64, loongarch64`,
			},
		},
		"several files at once": {
			map[string]string{"manifest.yaml": goodManifest + "pakages: [x]\n", "image.yaml": "size: x\n", "os.repo": "[os]\n"},
			[]string{
				`image.yaml:1:7: size: must be a whole number of GiB without a unit, not the string "x"; write for example 10`,
				`manifest.yaml:8:1: unknown key "pakages"; did you mean "packages"?`,
				`os.repo:1:1: repository "os" says no place to load from; add baseurl, metalink or mirrorlist`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := config(t, c.files)
			got := findings(t, dir, whole)
			for i := range got {
				got[i] = strings.ReplaceAll(got[i], dir, "CONFIG")
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestEveryVariantIsChecked(t *testing.T) {
	dir := config(t, map[string]string{
		"manifest-server.yaml": "include: manifest.yaml\npakages: []\n", "image-server.yaml": "size: 8\n",
		"manifest-part.yaml": "packages: [a part that others include]\nx: 1\n",
	})
	server := `manifest-server.yaml:2:1: unknown key "pakages"; did you mean "packages"?`
	require.Equal(t, []string{server}, findings(t, dir))
	require.Empty(t, findings(t, dir, func(o *validate.Options) { o.Variants = []string{"default"} }))
	require.Equal(t, []string{server}, findings(t, dir, func(o *validate.Options) { o.Variants = []string{"server"} }))
	require.Equal(t, []string{"image-part.yaml: is missing; a config repository needs it"},
		findings(t, dir, func(o *validate.Options) { o.Variants = []string{"part"} }))
}

func TestAFaultOfAnIncludedFileIsToldOnce(t *testing.T) {
	dir := config(t, map[string]string{
		"manifest.yaml":        "include: base.yaml\n",
		"manifest-server.yaml": "include: base.yaml\n", "image-server.yaml": "include: image.yaml\n",
		"base.yaml": goodManifest + "pakages: []\n",
	})
	require.Equal(t, []string{`base.yaml:8:1: unknown key "pakages"; did you mean "packages"?`}, findings(t, dir))
}

func TestAPartOfAConfigIsOnlyWarnedOf(t *testing.T) {
	dir := config(t, map[string]string{
		"os.repo": "", "overlay.d/05core/etc/motd": "", "overlay.d/README.md": "",
		"manifest.yaml": goodManifest + "ostree-override-layers: [overlay/more]\n",
	})
	require.Equal(t, []string{
		dir + ": warning: there is no .repo file, and so nowhere to get packages from; add one, or give a directory with some by nosa init --yumrepos",
		`manifest.yaml:8:26: warning: layer "overlay/more": there is no directory overlay.d/more; add the directory, or remove the layer`,
		"overlay.d/05core/statoverride:2:1: warning: the overlay has no /etc/motd",
	}, findings(t, dir))
	for _, line := range findings(t, dir, whole) {
		require.NotContains(t, line, "warning:")
	}
}

func TestWhatTheCommitOfAnOverlayTakesAway(t *testing.T) {
	dir := config(t, nil)
	motd := filepath.Join(dir, "overlay.d/05core/etc/motd")
	require.NoError(t, os.Chmod(motd, 0o4757|os.ModeSetuid))
	require.Equal(t, []string{
		"overlay.d/05core/etc/motd: warning: the commit takes away its setuid bit and write permission for others; say modes in the overlay's statoverride file",
	}, findings(t, dir))
}

func TestEntriesThatCannotBeReadAreNamed(t *testing.T) {
	dir := config(t, nil)
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "overlay.d", "30gone")))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "tests", "kola", "gone.sh")))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "overlay.d", "05core", "link")), "a link of the tree itself")
	require.Equal(t, []string{
		"overlay.d/30gone: the symbolic link leads to nowhere, which does not exist",
		"tests/kola/gone.sh: no such file or directory",
	}, findings(t, dir))
}

func TestRunNeedsADirectory(t *testing.T) {
	_, err := validate.Run(t.Context(), validate.Options{Dir: filepath.Join(t.TempDir(), "gone"), Arch: arch.X86_64})
	require.ErrorIs(t, err, os.ErrNotExist)
}

// published are real configs; they came without their overlays and tests.
func published(t testing.TB, name string) string {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "..", "shared", "data", name)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the published config repository is not here: %v", err)
	}
	return dir
}

func TestPublishedConfigsHaveNoErrors(t *testing.T) {
	for _, name := range []string{"nestos-config", "fedora-coreos-config"} {
		for _, a := range arch.All() {
			t.Run(fmt.Sprintf("%s %s", name, a), func(t *testing.T) {
				start := time.Now()
				result, err := validate.Run(t.Context(), validate.Options{Dir: published(t, name), Arch: a, Now: now})
				require.NoError(t, err)
				require.Less(t, time.Since(start), time.Second)
				require.Zero(t, result.Errors(), "%v", result.Findings)
			})
		}
	}
}

func BenchmarkPublishedConfig(b *testing.B) {
	for _, name := range []string{"nestos-config", "fedora-coreos-config"} {
		b.Run(name, func(b *testing.B) {
			dir := published(b, name)
			for b.Loop() {
				_, err := validate.Run(b.Context(), validate.Options{Dir: dir, Arch: arch.X86_64})
				require.NoError(b, err)
			}
		})
	}
}
