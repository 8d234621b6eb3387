package security_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/testkit/actiontest"
)

// canaries are secrets by the place where they are planted.
type canaries map[string]string

// plant makes a secret of the kind that tokens are.
func (c canaries) plant(place string) string {
	c[place] = "canary/" + strings.ToLower(rand.Text()) + "+" + rand.Text()
	return c[place]
}

// variables are those of a job that hold secrets, or that people put them into.
var variables = []string{
	"GITHUB_TOKEN", "GH_TOKEN", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL",
	"ACTIONS_CACHE_URL", "ACTIONS_RESULTS_URL", "ACTIONS_RUNTIME_URL", "NOSA_SIGNING_KEY", "NOSA_SIGNING_PASSPHRASE",
	"NOSA_REGISTRY_PASSWORD", "INPUT_TOKEN", "INPUT_PASSWORD", "SSH_AUTH_SOCK", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
	"AWS_SESSION_TOKEN", "DOCKER_AUTH_CONFIG", "NPM_TOKEN", "VAULT_TOKEN",
}

// home are files of the runner's user with secrets.
var home = map[string]string{
	".netrc":                  "machine github.com login me password %s\n",
	".docker/config.json":     `{"auths": {"ghcr.io": {"auth": "%s"}}}`,
	".git-credentials":        "https://me:%s@github.com\n",
	".config/gh/hosts.yml":    "github.com:\n  oauth_token: %s\n",
	".aws/credentials":        "[default]\naws_secret_access_key = %s\n",
	".ssh/id_ed25519":         "-----BEGIN OPENSSH PRIVATE KEY-----\n%s\n",
	".config/containers/auth": `{"auths": {"quay.io": {"auth": "%s"}}}`,
	".gitconfig":              "[url \"https://x-access-token:%s@github.com/\"]\n\tinsteadOf = https://github.com/\n[safe]\n\tdirectory = *\n",
}

// thief is a script that a config or a package brings: it looks for secrets
// wherever it can and puts them into the image and into the log.
const thief = `
steal() {
	for f in /proc/[0-9]*/environ /proc/[0-9]*/cmdline /proc/[0-9]*/root$HOME_OF_RUNNER/.netrc \
		$HOME_OF_RUNNER/.netrc $HOME_OF_RUNNER/.docker/config.json $HOME_OF_RUNNER/.gitconfig $HOME_OF_RUNNER/.ssh/id_ed25519 \
		$WORKSPACE/.env $WORKSPACE/.git/config $WORKSPACE/tiny.repo /root/.netrc; do
		/usr/bin/busybox cat $f 2>/dev/null || :
	done
	/usr/bin/busybox env
	/usr/bin/busybox find / -xdev -name .env 2>/dev/null || :
}
steal >/usr/share/loot-$THIEF
/usr/bin/busybox cat /usr/share/loot-$THIEF
echo '::set-env name=INJECTED::x'
echo '##[add-path]INJECTED <img src=x>'
/usr/bin/busybox printf '\r::error::INJECTED\n  ::add-mask::INJECTED\n\342\200\250::stop-commands::INJECTED\n'
echo what a script prints is in the log: $SPOKEN
`

// No secret of a job reaches what it leaves: the logs, the summaries, the outputs,
// the packs for other jobs and the work directory. Secrets are where jobs have
// them, scripts of the config and of a package look for them, and the real nosa
// runs behind the real actions.
func TestNoSecretIsInAnythingThatIsMade(t *testing.T) {
	testkit.NeedRoot(t)
	testkit.NeedTool(t, "dnf", "rpm", "ostree", "bwrap", "git", "createrepo_c", "/bin/busybox")
	c, control := canaries{}, canaries{}
	w := newWorkflow(t, actiontest.Build(t, "./cmd/nosa"))
	w.secrets(t, c, control)
	w.tinyConfig(t, c, control)
	w.checkout(t, c)

	// The tiny system has no boot loader; what is said of that counts as well.
	w.search(t, c, control, "actions/fetch", "actions/build")
}

// The same with a system that has images and boots: make boots.
func TestNoSecretIsInImages(t *testing.T) {
	pool := os.Getenv("NOSA_POOL")
	if os.Getenv("NOSA_TEST_BOOT") == "" || pool == "" {
		t.Skip("composes a whole system; make boots runs it")
	}
	c, control := canaries{}, canaries{}
	w := newWorkflow(t, actiontest.Build(t, "./cmd/nosa"))
	w.secrets(t, c, control)
	w.miniConfig(t, pool, control)
	w.checkout(t, c)

	w.search(t, c, control, "actions/fetch", "actions/build", "actions/buildextend")
}

// search runs the pipeline and looks for the canaries in all that comes of it; the
// actions named succeed.
func (w *workflow) search(t *testing.T, c, control canaries, succeed ...string) {
	t.Helper()
	h, told := newHunt(t, c), newHunt(t, control)
	look := func(place, text string) {
		h.text(place, text)
		told.text(place, text)
	}
	inputs := map[string]map[string]string{"actions/run-test": {"config": "os", "tests": "none.of.this.name"}}
	for _, action := range pipeline {
		if inputs[action] == nil {
			inputs[action] = map[string]string{"config": "os"}
		}
		got := w.job(t, action, inputs[action])
		look("log of "+action, got.Log)
		look("summary of "+action, got.Summary)
		look("outputs of "+action, fmt.Sprint(got.Outputs))
		look("environment after "+action, got.Environment)
		isOnlyText(t, action, got, got.Log)
		require.Equal(t, slices.Contains(succeed, action), got.Code == 0, got.Log)
		// Whatever lies in the job's temporary directory, caches may keep.
		h.tree(w.Temp)
		images, err := filepath.Glob(filepath.Join(w.Temp, "nosa/builds/*/*/*.qcow2"))
		require.NoError(t, err)
		if action != "actions/buildextend" {
			images = nil // which lie there again
		} else if got.Code == 0 {
			require.NotEmpty(t, images)
		}
		for _, image := range images {
			raw := filepath.Join(t.TempDir(), "disk")
			host(t, "qemu-img", "convert", "-O", "raw", image, raw)
			h.tree(filepath.Dir(raw))
			told.tree(filepath.Dir(raw))
		}
	}
	h.tree(w.artifacts)
	told.tree(w.artifacts)

	require.Greater(t, len(c), 30)
	require.Empty(t, h.found)
	require.Len(t, told.found, len(control), "what may be found is found: %v", told.found)
	require.Greater(t, h.bytes, int64(8<<20))
}

// secrets gives the job what holds secrets outside of its workspace.
func (w *workflow) secrets(t *testing.T, c, control canaries) {
	t.Helper()
	for _, name := range variables {
		w.Env[name] = c.plant("variable " + name)
	}
	w.Env["HOME"] = t.TempDir()
	w.Env["NOSA_REGISTRY_USER"] = "me"
	for name, text := range home {
		write(t, filepath.Join(w.Env["HOME"], name), fmt.Sprintf(text, c.plant("home "+name)))
	}
	w.Context["github.token"] = c.plant("expression github.token")
	control.plant("printed by a script")
	control.plant("in the image")
}

func (w *workflow) config() string { return filepath.Join(w.Workspace, "os") }

// thief is the script, as that of who.
func (w *workflow) thief(who string, control canaries) string {
	return strings.NewReplacer("$HOME_OF_RUNNER", w.Env["HOME"], "$WORKSPACE", w.config(), "$SPOKEN", control["printed by a script"], "$THIEF", who).Replace(thief)
}

// tinyConfig makes a config whose packages come from repositories that ask for a
// password.
func (w *workflow) tinyConfig(t *testing.T, c, control canaries) {
	t.Helper()
	manifest := testkit.TinyManifest + "  - |\n    #!/bin/sh\n" + indented(w.thief("config", control))
	manifest = strings.Replace(manifest, ", app]", ", app, thief]", 1)
	write(t, filepath.Join(w.config(), "manifest.yaml"), manifest)
	write(t, filepath.Join(w.config(), "image.yaml"), "size: 2\nrootfs: ext4\n")
	write(t, filepath.Join(w.config(), "platforms.yaml"), "x86_64: {}\naarch64: {}\n")
	write(t, filepath.Join(w.config(), "overlay.d/05core/usr/share/core"), control["in the image"])
	rpms, more := t.TempDir(), t.TempDir()
	testkit.TinyPackages(t, rpms, "1")
	testkit.WriteRPM(t, more, testkit.RPM{Name: "thief", Requires: []string{"shell"}, Post: w.thief("package", control)})
	testkit.IndexRepository(t, rpms)
	testkit.IndexRepository(t, more)
	inURL := strings.Replace(locked(t, rpms, c.password("in the URL of a repository")), "://", "://me:"+c["in the URL of a repository"]+"@", 1)
	write(t, filepath.Join(w.config(), "tiny.repo"), "[tiny]\nname=tiny\nbaseurl="+inURL+"\ngpgcheck=0\n"+
		"[more]\nname=more\nbaseurl="+locked(t, more, c.password("key of a repository"))+"\ngpgcheck=0\nusername=me\npassword="+c["key of a repository"]+"\n")
}

// miniConfig is the example's, with a script that looks for secrets.
func (w *workflow) miniConfig(t *testing.T, pool string, control canaries) {
	t.Helper()
	host(t, "cp", "-a", "../../examples/nestos-mini", w.config())
	write(t, filepath.Join(w.config(), "pool.repo"), "[pool]\nname=pool\nbaseurl=file://"+pool+"\ngpgcheck=0\n")
	write(t, filepath.Join(w.config(), "overlay.d/05core/usr/share/core"), control["in the image"])
	path := filepath.Join(w.config(), "manifest.yaml")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	script := strings.ReplaceAll(w.thief("config", control), "/usr/bin/busybox ", "")
	require.NotContains(t, string(text), "\npostprocess:")
	write(t, path, string(text)+"\npostprocess:\n  - |\n    #!/bin/sh\n"+indented(script))
}

func indented(script string) string {
	var out strings.Builder
	for line := range strings.Lines(script) {
		out.WriteString("    " + line)
	}
	return out.String()
}

// checkout makes the workspace what a checkout that keeps its token leaves, with
// files beside that git does not track.
func (w *workflow) checkout(t *testing.T, c canaries) {
	t.Helper()
	write(t, filepath.Join(w.config(), ".gitignore"), ".env\n*.repo\n")
	host(t, "git", "init", "--quiet", w.Workspace)
	host(t, "git", "-C", w.Workspace, "add", "os")
	host(t, "git", "-C", w.Workspace, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "--message=c")
	write(t, filepath.Join(w.config(), ".env"), "PASSWORD="+c.plant("untracked .env")+"\n")
	write(t, filepath.Join(w.Workspace, ".env"), "PASSWORD="+c.plant("untracked .env of the workspace")+"\n")
	git := filepath.Join(w.Workspace, ".git")
	for key, value := range map[string]string{
		"http.https://github.com/.extraheader": "AUTHORIZATION: basic " + c.plant("extraheader"),
		"remote.origin.url":                    "https://me:" + c.password("password of a remote") + "@github.com/a/b",
		"remote.other.url":                     "https://" + c.password("user of a remote") + "@github.com/a/b",
		"url.https://" + c.password("insteadOf") + "@github.com/.insteadOf": "https://github.com/",
		"credential.helper": "!echo password=" + c.plant("credential helper"),
	} {
		host(t, "git", "config", "--file", filepath.Join(git, "config"), key, value)
	}
	write(t, filepath.Join(git, "modules/sub/config"), "[http]\n\textraheader = AUTHORIZATION: basic "+c.plant("extraheader of a submodule")+"\n")
}

// password plants a secret without characters that mean something in a URL.
func (c canaries) password(place string) string {
	c[place] = "canary-" + rand.Text()
	return c[place]
}

// locked serves a directory to who has the password.
func locked(t *testing.T, dir, password string) (address string) {
	t.Helper()
	files := http.FileServer(http.Dir(dir))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, given, _ := r.BasicAuth(); given != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="packages"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func write(t testing.TB, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}
