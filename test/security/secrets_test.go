package security_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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

	h, told := newHunt(t, c), newHunt(t, control)
	look := func(place, text string) {
		h.text(place, text)
		told.text(place, text)
	}
	for _, action := range pipeline {
		got := w.job(t, action, map[string]string{"config": "os"})
		look("log of "+action, got.Log)
		look("summary of "+action, got.Summary)
		look("outputs of "+action, fmt.Sprint(got.Outputs))
		look("environment after "+action, got.Environment)
		isOnlyText(t, action, got, got.Log)
		switch action {
		case "actions/fetch", "actions/build":
			require.Zero(t, got.Code, got.Log)
		default: // the tiny system has no boot loader; what is said of it counts
			require.NotZero(t, got.Code, got.Log)
		}
		// Whatever lies in the job's temporary directory, caches may keep.
		h.tree(w.Temp)
	}
	h.tree(w.artifacts)
	told.tree(w.artifacts)

	require.Greater(t, len(c), 30)
	require.Empty(t, h.found)
	require.Len(t, told.found, len(control), "what may be found is found: %v", told.found)
	require.Greater(t, h.bytes, int64(8<<20))
}

// secrets makes a workspace with a config, as a checkout that keeps its token
// leaves it, and a package repository that asks for a password.
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
	config := filepath.Join(w.Workspace, "os")
	setting := strings.NewReplacer("$HOME_OF_RUNNER", w.Env["HOME"], "$WORKSPACE", config, "$SPOKEN", control.plant("printed by a script"))
	manifest := testkit.TinyManifest + "  - |\n    #!/bin/sh\n"
	for line := range strings.Lines(strings.ReplaceAll(setting.Replace(thief), "$THIEF", "config")) {
		manifest += "    " + line
	}
	manifest = strings.Replace(manifest, ", app]", ", app, thief]", 1)
	write(t, filepath.Join(config, "manifest.yaml"), manifest)
	write(t, filepath.Join(config, "image.yaml"), "size: 2\nrootfs: ext4\n")
	write(t, filepath.Join(config, "platforms.yaml"), "x86_64: {}\naarch64: {}\n")
	write(t, filepath.Join(config, "overlay.d/05core/usr/share/core"), control.plant("in the image"))
	write(t, filepath.Join(config, ".gitignore"), ".env\n")
	rpms, more := t.TempDir(), t.TempDir()
	testkit.TinyPackages(t, rpms, "1")
	testkit.WriteRPM(t, more, testkit.RPM{Name: "thief", Requires: []string{"shell"}, Post: strings.ReplaceAll(setting.Replace(thief), "$THIEF", "package")})
	testkit.IndexRepository(t, rpms)
	testkit.IndexRepository(t, more)
	inURL := strings.Replace(locked(t, rpms, c.password("in the URL of a repository")), "://", "://me:"+c["in the URL of a repository"]+"@", 1)
	write(t, filepath.Join(config, "tiny.repo"), "[tiny]\nname=tiny\nbaseurl="+inURL+"\ngpgcheck=0\n"+
		"[more]\nname=more\nbaseurl="+locked(t, more, c.password("key of a repository"))+"\ngpgcheck=0\nusername=me\npassword="+c["key of a repository"]+"\n")
	host(t, "git", "init", "--quiet", w.Workspace)
	host(t, "git", "-C", w.Workspace, "add", "os/manifest.yaml", "os/image.yaml", "os/platforms.yaml", "os/overlay.d", "os/.gitignore")
	host(t, "git", "-C", w.Workspace, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "--message=c")
	write(t, filepath.Join(config, ".env"), "PASSWORD="+c.plant("untracked .env")+"\n")
	write(t, filepath.Join(w.Workspace, ".env"), "PASSWORD="+c.plant("untracked .env of the workspace")+"\n")
	git := filepath.Join(w.Workspace, ".git")
	for key, value := range map[string]string{
		"http.https://github.com/.extraheader": "AUTHORIZATION: basic " + c.plant("extraheader"),
		"remote.origin.url":                    "https://me:" + c.plant("password of a remote") + "@github.com/a/b",
		"remote.other.url":                     "https://" + c.plant("user of a remote") + "@github.com/a/b",
		"credential.helper":                    "!echo password=" + c.plant("credential helper"),
	} {
		host(t, "git", "config", "--file", filepath.Join(git, "config"), key, strings.ReplaceAll(value, "/canary", "canary"))
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
