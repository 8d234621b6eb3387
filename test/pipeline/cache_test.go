package pipeline_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/handoff"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/testkit/actiontest"
	"github.com/nestos/nosa-actions/internal/tool"
)

// poison is what an attacker wants to see in a release.
const poison = "written by a stranger"

// cacheService keeps caches as GitHub does: an entry belongs to the ref whose run
// wrote it, is never written anew, and is found by its key or the beginning of it,
// the newest first.
type cacheService struct{ entries []cacheEntry }

type cacheEntry struct {
	scope, key string
	files      map[string][]byte
}

func (s *cacheService) save(scope, key string, files map[string][]byte) {
	if !slices.ContainsFunc(s.entries, func(e cacheEntry) bool { return e.scope == scope && e.key == key }) {
		s.entries = append(s.entries, cacheEntry{scope, key, files})
	}
}

// restore finds an entry for a run that may read some scopes.
func (s *cacheService) restore(scopes []string, keys ...string) *cacheEntry {
	for _, scope := range scopes {
		for _, key := range keys {
			for _, e := range slices.Backward(s.entries) {
				if key != "" && e.scope == scope && strings.HasPrefix(e.key, key) {
					return &e
				}
			}
		}
	}
	return nil
}

// event is a run of the workflow.
type event struct {
	name, ref, refType string
	payload            string
	writes             string   // scope of caches that it writes
	reads              []string // scopes that it reads, its own first
}

const mainScope = "refs/heads/main"

var (
	push = event{name: "push", ref: mainScope, refType: "branch", writes: mainScope, reads: []string{mainScope}}
	tag  = event{name: "push", ref: "refs/tags/v1", refType: "tag", writes: "refs/tags/v1", reads: []string{"refs/tags/v1", mainScope}}
	// attacks are ways in which a stranger's code gets to run.
	attacks = []event{
		{
			name: "pull_request", ref: "refs/pull/3/merge", payload: `{"pull_request": {"number": 3, "head": {"repo": {"full_name": "stranger/os"}}}}`,
			writes: "refs/pull/3/merge", reads: []string{"refs/pull/3/merge", mainScope},
		},
		{
			name: "pull_request_target", ref: mainScope, refType: "branch", payload: `{"pull_request": {"number": 3, "head": {"repo": {"full_name": "stranger/os"}}}}`,
			writes: mainScope, reads: []string{mainScope},
		},
		{
			name: "workflow_run", ref: mainScope, refType: "branch", payload: `{"workflow_run": {"event": "pull_request", "head_repository": {"full_name": "stranger/os"}}}`,
			writes: mainScope, reads: []string{mainScope},
		},
		{
			name: "issue_comment", ref: mainScope, refType: "branch", payload: `{"issue": {"number": 3}}`,
			writes: mainScope, reads: []string{mainScope},
		},
	}
)

// runner runs the steps of actions/fetch as a runner does.
type runner struct {
	t                 *testing.T
	bin, root, config string
	pool              string // the package repository
	cache             *cacheService
	restored          *cacheEntry // by the last run

}

func newRunner(t *testing.T) *runner {
	testkit.NeedRoot(t)
	testkit.NeedTool(t, "dnf", "createrepo_c", "rpm", "git")
	root := t.TempDir()
	r := &runner{
		t: t, root: root, bin: filepath.Join(root, "bin"), pool: filepath.Join(root, "pool"),
		config: filepath.Join(root, "ws"), cache: &cacheService{},
	}
	for _, dir := range []string{r.bin, r.pool, r.config} {
		require.NoError(t, os.MkdirAll(dir, 0o755))
	}
	_, err := tool.Host{}.Run(t.Context(), tool.Cmd{
		Name: "go", Args: []string{"build", "-tags", "containers_image_openpgp", "-o", r.bin + "/", "../../cmd/nosa", "../../actions/plan", "../../actions/fetch"},
	})
	require.NoError(t, err)
	for _, name := range []string{"app", "lib", "doc"} {
		testkit.WriteRPM(t, r.pool, testkit.RPM{Name: name})
	}
	testkit.IndexRepository(t, r.pool)
	for name, text := range map[string]string{
		"manifest.yaml": "ref: os/x86_64/test\nrojig: {name: os, summary: s, license: l}\nautomatic-version-prefix: \"1\"\nreleasever: \"12\"\nrepos: [pool]\npackages: [app, lib, doc]\n",
		"image.yaml":    "size: 8\n",
		"pool.repo":     "[pool]\nname=pool\nbaseurl=file://" + r.pool + "\ngpgcheck=0\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(r.config, name), []byte(text), 0o644))
	}
	return r
}

// step runs a program of the suite and returns its outputs.
func (r *runner) step(e event, temp, program string) map[string]string {
	r.t.Helper()
	output := filepath.Join(r.root, "output")
	require.NoError(r.t, os.WriteFile(output, nil, 0o644))
	payload := filepath.Join(r.root, "event.json")
	require.NoError(r.t, os.WriteFile(payload, []byte(e.payload), 0o644))
	env := []string{
		"GITHUB_EVENT_NAME=" + e.name, "GITHUB_REF=" + e.ref, "GITHUB_REF_TYPE=" + e.refType, "GITHUB_EVENT_PATH=" + payload,
		"GITHUB_REPOSITORY=nestos/os", "GITHUB_RUN_ID=7", "GITHUB_WORKSPACE=" + r.config, "RUNNER_TEMP=" + temp,
		"GITHUB_OUTPUT=" + output, "GITHUB_STEP_SUMMARY=" + filepath.Join(r.root, "summary.md"),
	}
	for name, in := range actiontest.Read(r.t, "../../actions/"+program+"/action.yml").Inputs {
		env = append(env, action.InputVariable(name)+"="+*in.Default)
	}
	var said strings.Builder
	_, err := tool.Host{}.Run(r.t.Context(), tool.Cmd{Name: filepath.Join(r.bin, program), Env: env, Stdout: &said, Stderr: &said})
	require.NoError(r.t, err, said.String())
	text, err := os.ReadFile(output)
	require.NoError(r.t, err)
	return actiontest.ParseOutputs(string(text))
}

// fetch runs actions/fetch for an event on a fresh machine: plan, restore, fetch,
// save. It returns what the next job gets.
func (r *runner) fetch(e event) (plan map[string]string, received string) {
	r.t.Helper()
	temp := r.t.TempDir()
	dir := filepath.Join(temp, "nosa-rpms")
	plan = r.step(e, temp, "plan")
	r.restored = nil
	if plan["cache"] == "true" {
		r.restored = r.cache.restore(e.reads, plan["cache-key"], plan["cache-restore-1"], plan["cache-restore-2"], plan["cache-restore-3"], plan["cache-restore-4"])
	}
	if r.restored != nil {
		require.NoError(r.t, os.MkdirAll(dir, 0o755))
		for name, text := range r.restored.files {
			require.NoError(r.t, os.WriteFile(filepath.Join(dir, name), text, 0o644))
		}
	}
	out := r.step(e, temp, "fetch")
	if key := out["cache-save"]; key != "" {
		r.cache.save(e.writes, key, read(r.t, dir))
	}
	received = r.t.TempDir()
	_, err := handoff.UnpackFile(r.t.Context(), out["pack"], received, handoff.UnpackOptions{})
	require.NoError(r.t, err)
	return plan, received
}

// read reads the files of a directory, not those below it.
func read(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range list {
		if e.IsDir() {
			continue
		}
		files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
	}
	return files
}

// poisoned is a cache with a changed file in the place of each package, and some
// files more that a careless reader might take.
func (r *runner) poisoned() map[string][]byte {
	files := map[string][]byte{"repomd.xml": []byte(poison), "packages.json": []byte(poison), "app-9-9.noarch.rpm": []byte(poison)}
	for name, text := range read(r.t, r.pool) {
		if strings.HasSuffix(name, ".rpm") {
			copy(text[len(text)-len(poison):], poison) // of the same size
			files[name] = text
		}
	}
	return files
}

// clean checks that nothing of an attacker's got into what the build receives,
// and that the packages are those of the repository.
func (r *runner) clean(received string) {
	r.t.Helper()
	require.NoError(r.t, filepath.WalkDir(received, func(path string, e fs.DirEntry, err error) error {
		require.NoError(r.t, err)
		if e.Type().IsRegular() {
			text, err := os.ReadFile(path)
			require.NoError(r.t, err)
			require.False(r.t, bytes.Contains(text, []byte(poison)), path)
		}
		return nil
	}))
	got := read(r.t, filepath.Join(received, "cache/rpms"))
	require.Len(r.t, got, 3)
	for name, text := range got {
		want, err := os.ReadFile(filepath.Join(r.pool, name))
		require.NoError(r.t, err)
		require.Equal(r.t, want, text, name)
	}
}

// What strangers' runs write under the keys that the suite gives them is read by
// no branch and no release, whatever the event they came in by.
func TestWhatPullRequestsCacheIsNotReadByBranches(t *testing.T) {
	r := newRunner(t)
	for _, attack := range attacks {
		plan := r.step(attack, t.TempDir(), "plan")
		require.Equal(t, "true", plan["cache"])
		require.NotContains(t, plan["cache-key"], "-branch-")
		r.cache.save(attack.writes, plan["cache-key"]+"-0123456789abcdef", r.poisoned())
	}
	for _, e := range []event{push, tag} {
		_, received := r.fetch(e)
		require.Nil(t, r.restored, e.name)
		r.clean(received)
	}
	// The branch has saved its own by now. A pull request reads it, a branch too,
	// and a tag still reads nothing.
	for _, e := range []event{push, attacks[0], tag} {
		_, received := r.fetch(e)
		r.clean(received)
		require.Equal(t, e.ref == tag.ref, r.restored == nil)
		if e.ref == mainScope {
			require.Contains(t, r.restored.key, "-branch-")
		}
	}
}

// A stranger who got hold of a run with the rights of the default branch can choose
// any key: every one is poisoned, in every scope.
func TestNoByteOfAPoisonedCacheGetsIntoARelease(t *testing.T) {
	r := newRunner(t)
	var keys []string
	for _, e := range append([]event{push, tag}, attacks...) {
		plan := r.step(e, t.TempDir(), "plan")
		for name, key := range plan {
			if strings.HasPrefix(name, "cache-") && key != "" {
				keys = append(keys, key, key+"-0123456789abcdef")
			}
		}
	}
	host, err := arch.Host()
	require.NoError(t, err)
	for _, tier := range []string{"branch", "release", "pull-3", "fork-3"} {
		keys = append(keys, fmt.Sprintf("nosa-rpms-1-%s-nosa-%s-", tier, host.RPM))
	}
	for _, scope := range []string{mainScope, tag.writes, "refs/pull/3/merge"} {
		for _, key := range keys {
			r.cache.save(scope, key, r.poisoned())
		}
	}

	_, received := r.fetch(push)
	require.NotNil(t, r.restored, "the attack must reach its aim to prove anything")
	r.clean(received)

	_, received = r.fetch(tag)
	require.Nil(t, r.restored)
	r.clean(received)
}
