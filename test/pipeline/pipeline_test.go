// Package pipeline_test runs nosa from a config repository and real packages to
// an image that is booted and tested, and feeds it bad input on the way.
package pipeline_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// place is a work directory with a config of its own.
type place struct {
	t              *testing.T
	nosa           string
	dir, config    string
	yumrepos, pool string
}

// newPlace copies the example's config, so that tests may spoil it, and builds
// nosa. Where the pool of packages is, NOSA_POOL says; make test sets it.
func newPlace(t *testing.T) *place {
	testkit.NeedRoot(t)
	testkit.NeedTool(t, "dnf", "rpm", "ostree", "bwrap", "git", "qemu-img", "qemu-system-x86_64")
	pool := os.Getenv("NOSA_POOL")
	if pool == "" {
		testkit.Miss(t, "NOSA_POOL does not say where the packages are; run make test")
	}
	root := t.TempDir()
	p := &place{
		t: t, pool: pool, nosa: filepath.Join(root, "nosa"),
		dir: filepath.Join(root, "work"), config: filepath.Join(root, "config"), yumrepos: filepath.Join(root, "yumrepos"),
	}
	p.host("go", "build", "-o", p.nosa, "../../cmd/nosa")
	p.host("cp", "-a", "../../examples/nestos-mini", p.config)
	require.NoError(t, os.MkdirAll(p.dir, 0o755))
	p.repository("file://" + pool)
	return p
}

// repository lets the config draw from another URL.
func (p *place) repository(url string) {
	require.NoError(p.t, os.MkdirAll(p.yumrepos, 0o755))
	text := "[pool]\nname=pool\nbaseurl=" + url + "\ngpgcheck=0\n"
	require.NoError(p.t, os.WriteFile(filepath.Join(p.yumrepos, "pool.repo"), []byte(text), 0o644))
}

func (p *place) host(name string, args ...string) string {
	p.t.Helper()
	out, err := tool.Host{}.Run(p.t.Context(), tool.Cmd{Name: name, Args: args})
	require.NoError(p.t, err)
	return string(out)
}

// run runs nosa in the work directory and returns all it said.
func (p *place) run(args ...string) (string, error) {
	p.t.Helper()
	var said strings.Builder
	_, err := tool.Host{}.Run(p.t.Context(), tool.Cmd{
		Name: p.nosa, Args: args, Dir: p.dir, Stdout: &said, Stderr: &said,
	})
	return said.String(), err
}

func (p *place) ok(args ...string) string {
	p.t.Helper()
	said, err := p.run(args...)
	require.NoError(p.t, err, said)
	return said
}

// fails expects exit status 1 and a last line that says why.
func (p *place) fails(why string, args ...string) {
	p.t.Helper()
	said, err := p.run(args...)
	require.Error(p.t, err, said)
	require.Contains(p.t, said, why)
	require.NotContains(p.t, said, "goroutine", "no panic reaches a user")
}

func (p *place) edit(name, old, new string) {
	p.t.Helper()
	path := filepath.Join(p.config, name)
	text, err := os.ReadFile(path)
	require.NoError(p.t, err)
	require.Contains(p.t, string(text), old)
	require.NoError(p.t, os.WriteFile(path, []byte(strings.Replace(string(text), old, new, 1)), 0o644))
}

type index struct {
	Builds []struct {
		ID string `json:"id"`
	} `json:"builds"`
}

func (p *place) builds() []string {
	text, err := os.ReadFile(filepath.Join(p.dir, "builds/builds.json"))
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(p.t, err)
	var x index
	require.NoError(p.t, json.Unmarshal(text, &x))
	var ids []string
	for _, b := range x.Builds {
		ids = append(ids, b.ID)
	}
	return ids
}

func TestFromConfigToTestedImage(t *testing.T) {
	p := newPlace(t)

	t.Log("bad input: one clear message each, and the next run works")
	p.fails("is not a work directory", "fetch")
	p.fails("/nothere: no such file or directory", "init", "/nothere")
	p.ok("init", "--transient", "--yumrepos", p.yumrepos, p.config)
	p.fails("must fetch before building; run nosa fetch", "build")
	p.edit("manifest.yaml", "releasever:", "relaesever:")
	p.fails(`manifest.yaml:18:1: unknown key "relaesever"`, "fetch")
	p.edit("manifest.yaml", "relaesever:", "releasever:")
	p.edit("manifests/tools.yaml", "- curl jq", "- curl jqq")
	p.fails(`tools.yaml:3:5: package "jqq" is in none of the repositories pool`, "fetch")
	p.edit("manifests/tools.yaml", "- curl jqq", "- curl jq")
	p.repository("http://127.0.0.1:9/nothing")
	p.fails(`repository "pool" cannot be read from`, "fetch")
	p.repository("file://" + p.pool)
	require.Empty(t, p.builds())

	t.Log("fetch and compose")
	require.Contains(t, p.ok("fetch"), "Fetched")
	p.edit("manifests/tools.yaml", "- curl jq", "- curl")
	p.fails("the packages of the manifest have changed since the last fetch", "build")
	p.edit("manifests/tools.yaml", "- curl", "- curl jq")
	p.edit("manifests/tools.yaml", "set -euo pipefail\n    systemctl", "set -euo pipefail\n    echo spoiled >&2; exit 5\n    systemctl")
	p.fails("tools.yaml:7:5: postprocess script", "build", "container")
	require.Empty(t, p.builds(), "a compose that failed is no build")
	p.edit("manifests/tools.yaml", "    echo spoiled >&2; exit 5\n", "")
	p.ok("build")
	first := p.builds()
	require.Len(t, first, 1)
	p.verify()
	t.Log("an unchanged config makes no build, a changed one makes the next")
	require.Contains(t, p.ok("build"), "No changes in image inputs.")
	require.Equal(t, first, p.builds())
	p.edit("overlay.d/05core/usr/libexec/nestos-motd", "# Tells", "# Says")
	cold := p.commitElsewhere()
	said := p.ok("build", "container")
	require.Contains(t, said, "taken over, nothing that it is made of has changed", "dracut did not look at that file")
	require.NotContains(t, said, "unpack ")
	require.Equal(t, cold, p.ok("meta", "--get-value", "ostree-commit"),
		"cold and warm caches, there and here, give the same commit, initramfs and all")
	require.Len(t, p.builds(), 2)
	require.Equal(t, strings.TrimSuffix(first[0], ".0")+".1", p.builds()[0])
	fetched, whole := p.update(first[0], p.builds()[0])
	t.Logf("one overlay file changed: a system that follows the registry fetches %d of %d bytes", fetched, whole)
	require.Less(t, fetched, whole/100)

	t.Log("boot and test")
	said = p.ok("kola", "run", "--parallel", "auto", "--tag", "!reboot", "--build", first[0])
	require.Contains(t, said, "PASS: basic")
	require.Contains(t, said, "PASS: ext.config.motd")
	p.fails("but the build has", "kola", "run", "--build", p.builds()[0], "--qemu-image", p.image(first[0]), "basic")
}

func (p *place) image(build string) string {
	paths, err := filepath.Glob(filepath.Join(p.dir, "builds", build, "*", "*.qcow2"))
	require.NoError(p.t, err)
	require.Len(p.t, paths, 1)
	return paths[0]
}

// update is what a system that has the layers of one build fetches for another, in
// bytes, and the size of all its layers.
func (p *place) update(from, to string) (fetched, whole int64) {
	there := map[string]int64{}
	for i, build := range []string{from, to} {
		paths, err := filepath.Glob(filepath.Join(p.dir, "builds", build, "*", "*-ostree.*-manifest.json"))
		require.NoError(p.t, err)
		require.Len(p.t, paths, 1)
		text, err := os.ReadFile(paths[0])
		require.NoError(p.t, err)
		var manifest struct {
			Layers []struct {
				Digest string
				Size   int64
			}
		}
		require.NoError(p.t, json.Unmarshal(text, &manifest))
		require.NotEmpty(p.t, manifest.Layers)
		for _, layer := range manifest.Layers {
			if i == 0 {
				there[layer.Digest] = layer.Size
				continue
			}
			whole += layer.Size
			if _, ok := there[layer.Digest]; !ok {
				fetched += layer.Size
			}
		}
	}
	return fetched, whole
}

// commitElsewhere makes the next build in another work directory, which has the
// builds and the packages but no other cache, in another time zone and language
// and under another umask, and returns the commit.
func (p *place) commitElsewhere() string {
	p.t.Helper()
	other := *p
	other.dir = filepath.Join(p.t.TempDir(), "elsewhere")
	require.NoError(p.t, os.MkdirAll(other.dir, 0o755))
	other.ok("init", "--transient", "--yumrepos", p.yumrepos, p.config)
	for _, dir := range []string{"cache", "builds"} {
		require.NoError(p.t, os.RemoveAll(filepath.Join(other.dir, dir)))
		p.host("cp", "--archive", "--link", filepath.Join(p.dir, dir), other.dir)
	}
	var said strings.Builder
	_, err := tool.Host{}.Run(p.t.Context(), tool.Cmd{
		Name: "sh", Args: []string{"-c", `umask 077; exec "$0" build container`, p.nosa},
		Dir: other.dir, Env: []string{"TZ=Asia/Tokyo", "LANG=tr_TR.UTF-8", "LC_ALL=tr_TR.UTF-8", "HOME=/nonexistent"},
		Stdout: &said, Stderr: &said,
	})
	require.NoError(p.t, err, said.String())
	return other.ok("meta", "--get-value", "ostree-commit")
}

// verify lets tools that nobody here wrote look at the build.
func (p *place) verify() {
	p.host("ostree", "fsck", "--repo="+filepath.Join(p.dir, "tmp/repo"), "--quiet")
	p.host("qemu-img", "check", p.image(p.builds()[0]))
	p.ok("build-validate")
	require.Contains(p.t, p.ok("list"), p.builds()[0])
	require.Equal(p.t, "nestos-mini\n", p.ok("meta", "--get-value", "name"))
}

func TestAnInterruptedBuildLeavesNothingAndTheNextOneWorks(t *testing.T) {
	p := newPlace(t)
	p.ok("init", "--transient", "--yumrepos", p.yumrepos, p.config)
	p.ok("fetch")
	ctx, stop := context.WithCancel(t.Context())
	watch := &stopAt{text: "unpack", stop: stop}
	_, err := tool.Host{}.Run(ctx, tool.Cmd{Name: p.nosa, Args: []string{"build", "container"}, Dir: p.dir, Stderr: watch})
	require.ErrorIs(t, err, context.Canceled)
	require.Contains(t, watch.said.String(), "interrupted")
	require.Empty(t, p.builds())
	processes := p.host("ps", "-eo", "args")
	require.NotContains(t, processes, p.dir, "no process outlives the command")
}

// stopAt calls stop when a text has been written.
type stopAt struct {
	text string
	stop func()
	said strings.Builder
}

func (s *stopAt) Write(data []byte) (int, error) {
	s.said.Write(data)
	if strings.Contains(s.said.String(), s.text) {
		s.stop()
	}
	return len(data), nil
}
