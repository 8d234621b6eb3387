// Package contract_test runs the actions against an image whose only promise is
// upstream's command line, and holds what they ask of it against upstream's
// documentation.
package contract_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/assembler/container/enginetest"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/testkit/actiontest"
	"github.com/nestos/nosa-actions/internal/tool"
)

// upstream are the words of each command that upstream documents, as far as the
// actions use them. A word that ends in = takes a value.
var upstream = map[string][]string{
	"init":              {"CONFIG", "--variant=", "--yumrepos="},
	"fetch":             {"--strict", "--autolock=", "--with-cosa-overrides"},
	"build":             {"--force", "--version=", "--delay-meta-merge", "--parent=", "--parent-build=", "--tag=", "container"},
	"buildextend-qemu":  {"--build="},
	"buildextend-metal": {"--build="},
	"kola": {
		"run", "--output-dir=", "--parallel=", "PATTERN", "--append-ignition=", "--append-butane=", "--exttest=", "--rerun", "--allow-rerun-success=",
		"--qemu-nvme", "--multiply=", "--sharding=", "--distro=", "--platform=", "--debug-systemd-unit=",
	},
	"buildextend-metal4k":   {"--build="},
	"buildextend-live":      {"--build=", "--fast"},
	"buildextend-openstack": {"--build="},
}

// ours are commands that upstream lacks; the actions do without where an image
// does not know them.
var ours = []string{"buildextend", "validate"}

// record is what the recorder writes.
type record struct {
	Args, Env, Mounts, Devices, Leaks, Seen []string
	Dir                                     string
	UID                                     int
}

// secret begins what must not be seen inside, and control is what may be.
const (
	secret  = "s3cret-token-of-a-job-"
	control = "control-word-that-may-be-seen"
)

// homeFiles are those of the runner's user with secrets in them.
var homeFiles = map[string]string{
	".netrc": "machine github.com login me password %s\n", ".docker/config.json": `{"auths": {"ghcr.io": {"auth": "%s"}}}`,
	".git-credentials": "https://me:%s@github.com\n", ".aws/credentials": "[default]\naws_secret_access_key = %s\n",
	".gitconfig": "[url \"https://x-access-token:%s@github.com/\"]\n\tinsteadOf = https://github.com/\n", ".ssh/id_ed25519": "%s\n",
}

// runner is a machine with a workspace.
type runner struct {
	t                    *testing.T
	bin, workspace, temp string
	image                string
}

func newRunner(t *testing.T) *runner {
	testkit.NeedRoot(t)
	testkit.NeedTool(t, "runc", "git")
	root := t.TempDir()
	r := &runner{t: t, bin: filepath.Join(root, "bin"), workspace: filepath.Join(root, "workspace"), temp: filepath.Join(root, secret+"temp")}
	for _, dir := range []string{r.bin, r.temp, filepath.Join(r.workspace, "config", "repos"), filepath.Join(r.workspace, "pool")} {
		require.NoError(t, os.MkdirAll(dir, 0o755))
	}
	r.host(nil, "go", "build", "-trimpath", "-tags", "containers_image_openpgp", "-o", r.bin+"/",
		"../../actions/fetch", "../../actions/build", "../../actions/buildextend", "../../actions/run-test",
		"../../cmd/nosa-init", "../../cmd/nosa-container", "./recorder")
	r.image = "oci-archive:" + enginetest.Archive(t, enginetest.Upstream(t, filepath.Join(r.bin, "recorder")))
	for name, text := range map[string]string{
		"config/manifest.yaml": "# " + control + "\n", "config/image.yaml": "", "config/manifest-v2.yaml": "", "config/image-v2.yaml": "",
		"config/repos/a.repo": "[a]\nbaseurl=file://" + r.workspace + "/pool\n[b]\nbaseurl=file:///root\n",
		"pool/package":        "", "other/private": secret + "file of another checkout",
	} {
		r.write(filepath.Join(r.workspace, name), text)
	}
	// As actions/checkout leaves it unless told otherwise.
	r.host(nil, "git", "-C", r.workspace+"/config", "init", "--quiet")
	r.host(nil, "git", "-C", r.workspace+"/config", "config", "http.https://example.org/.extraheader", "AUTHORIZATION: basic "+secret+"token")
	r.host(nil, "git", "-C", r.workspace+"/config", "config", "http.https://other.example.org/.extraheader",
		"AUTHORIZATION: basic "+base64.StdEncoding.EncodeToString([]byte("x-access-token:"+secret+"token")))
	for name, text := range homeFiles {
		r.write(filepath.Join(r.home(), name), strings.ReplaceAll(text, "%s", secret+"file"))
	}
	r.write(filepath.Join(r.temp, "_github_workflow/event.json"), `{"token": "`+secret+`event"}`)
	r.write(filepath.Join(r.workspace, "config/.git/modules/sub/config"), "[http]\n\textraheader = AUTHORIZATION: basic "+secret+"submodule\n")
	r.host(nil, "git", "-C", r.workspace+"/config", "-c", "user.name=x", "-c", "user.email=x", "commit", "--quiet", "--allow-empty", "--message=x")
	return r
}

func (r *runner) home() string { return filepath.Join(r.temp, "home") }

func (r *runner) write(path, text string) {
	r.t.Helper()
	require.NoError(r.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(r.t, os.WriteFile(path, []byte(text), 0o644))
}

func (r *runner) host(env []string, name string, args ...string) string {
	r.t.Helper()
	var out bytes.Buffer
	_, err := tool.Host{}.Run(r.t.Context(), tool.Cmd{Name: name, Args: args, Env: append(env, "CGO_ENABLED=0"), Stdout: &out, Stderr: &out})
	require.NoError(r.t, err, out.String())
	return out.String()
}

// action runs the program of an action with the defaults of its action.yml and
// these inputs.
func (r *runner) action(name string, inputs map[string]string) string {
	r.t.Helper()
	all := map[string]string{}
	for input, declared := range actiontest.Read(r.t, filepath.Join("../../actions", name, "action.yml")).Inputs {
		all[input] = *declared.Default
	}
	maps.Copy(all, map[string]string{"config": "config", "yumrepos": "config/repos", "handoff": "false", "assembler": r.image})
	if _, asks := all["token"]; asks {
		all["token"] = secret + "input"
	}
	maps.Copy(all, inputs)
	env := []string{
		"GITHUB_WORKSPACE=" + r.workspace, "RUNNER_TEMP=" + r.temp, "NOSA_CONTAINERS=" + filepath.Join(r.temp, "containers"),
		"GITHUB_OUTPUT=" + filepath.Join(r.temp, "output"), "GITHUB_STEP_SUMMARY=" + filepath.Join(r.temp, "summary"),
		"SOURCE_DATE_EPOCH=1700000000", "https_proxy=http://" + control + ":1",
		"GITHUB_EVENT_PATH=" + filepath.Join(r.temp, "_github_workflow/event.json"),
	}
	for _, name := range []string{"GITHUB_TOKEN", "GH_TOKEN", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "INPUT_TOKEN", "NOSA_REGISTRY_PASSWORD", "AWS_SECRET_ACCESS_KEY"} {
		env = append(env, name+"="+secret+name)
	}
	env = append(env, "HOME="+r.home())
	for input, value := range all {
		env = append(env, "NOSA_INPUT_"+strings.ToUpper(strings.ReplaceAll(input, "-", "_"))+"="+value)
	}
	return r.host(env, filepath.Join(r.bin, name))
}

// carry brings what jobs have uploaded to the next one. Unpacking consumes packs,
// so each gets copies.
func (r *runner) carry() {
	artifacts := filepath.Join(r.temp, "artifacts")
	for _, dir := range []string{artifacts, filepath.Join(r.temp, "nosa-in")} {
		require.NoError(r.t, os.MkdirAll(dir, 0o755))
	}
	r.host(nil, "sh", "-c", `cd "$0" && mv nosa-out/* artifacts/ 2>/dev/null; cp artifacts/* nosa-in/`, r.temp)
}

func (r *runner) records(work string) []record {
	text, err := os.ReadFile(filepath.Join(work, "contract.log"))
	require.NoError(r.t, err)
	var list []record
	for line := range strings.Lines(string(text)) {
		var one record
		require.NoError(r.t, json.Unmarshal([]byte(line), &one))
		list = append(list, one)
	}
	return list
}

func TestTheActionsAskNothingThatUpstreamDoesNotHave(t *testing.T) {
	r := newRunner(t)
	r.action("fetch", map[string]string{"strict": "true", "variant": "v2"})
	r.action("build", map[string]string{"force": "true", "version": "1.2", "variant": "v2"})
	r.action("buildextend", map[string]string{"platforms": "qemu metal metal4k", "variant": "v2"})
	r.action("run-test", map[string]string{"tests": "basic ext.*", "parallel": "2", "variant": "v2"})
	list := r.records(filepath.Join(r.temp, "nosa"))

	// The same in jobs that share nothing but artifacts.
	for _, name := range []string{"fetch", "build", "buildextend", "run-test"} {
		work := "job-" + name
		r.action(name, map[string]string{"handoff": "true", "work-dir": work})
		list = append(list, r.records(filepath.Join(r.workspace, work))...)
		r.carry()
	}

	var commands []string
	for _, one := range list {
		command := strings.Join(one.Args, " ")
		commands = append(commands, strings.NewReplacer(r.workspace, "WORKSPACE", r.temp, "TEMP").Replace(command))
		checkWords(t, one.Args)
		checkWorld(t, r, one)
	}
	testkit.Golden(t, "commands", []byte(strings.Join(commands, "\n")+"\n"))
}

// The same secrets with the other engine, and with all that inputs can ask for: what they
// name is seen inside, and nothing beside it.
func TestNoTokenEntersAContainer(t *testing.T) {
	testkit.NeedTool(t, "podman")
	for _, engine := range []string{"buildah", "podman"} {
		t.Run(engine, func(t *testing.T) {
			r := newRunner(t)
			r.write(filepath.Join(r.workspace, "more/a.ign"), "{}")
			r.write(filepath.Join(r.workspace, "more/b.bu"), "")
			r.write(filepath.Join(r.workspace, "tests/tests/kola/x"), "")
			r.write(filepath.Join(r.workspace, "mine/rpm/a.rpm"), "")
			run := func(name string, inputs map[string]string) {
				inputs["engine"] = engine
				r.action(name, inputs)
			}
			run("fetch", map[string]string{"overrides": "mine", "autolock": "1.0"})
			run("build", map[string]string{"parent": strings.Repeat("0", 64), "parent-build": "1.0", "build-tag": "next"})
			run("buildextend", map[string]string{"platforms": "qemu metal live", "fast": "true"})
			run("run-test", map[string]string{
				"append-ignition": "more/a.ign", "append-butane": "more/b.bu", "external-tests": "tests", "rerun": "true", "allow-rerun-success": "all",
				"disk-kind": "nvme", "multiply": "2", "shard": "1/2", "distro": "mini", "test-platform": "qemu", "debug-units": "sshd.service",
			})

			list := r.records(filepath.Join(r.temp, "nosa"))
			require.Greater(t, len(list), 5)
			for _, one := range list {
				checkWords(t, one.Args)
				checkWorld(t, r, one)
			}
			for _, path := range []string{"more/a.ign", "more/b.bu", "tests"} {
				require.Contains(t, list[len(list)-1].Mounts, filepath.Join(r.workspace, path))
			}
		})
	}
}

// checkWords holds one command against what upstream documents.
func checkWords(t *testing.T, args []string) {
	if slices.Contains(ours, args[0]) {
		return
	}
	known, ok := upstream[args[0]]
	require.True(t, ok, args[0])
	for _, word := range args[1:] {
		name, _, hasValue := strings.Cut(word, "=")
		if hasValue && strings.HasPrefix(word, "-") {
			name += "="
		}
		if !strings.HasPrefix(word, "-") && !slices.Contains(known, word) {
			name = map[string]string{"init": "CONFIG", "kola": "PATTERN"}[args[0]]
		}
		require.Contains(t, known, name, args)
	}
}

// checkWorld holds what a stage sees against the container that upstream's
// documentation starts, and against the secrets of the job.
func checkWorld(t *testing.T, r *runner, one record) {
	require.Empty(t, one.Leaks, "%v sees secrets", one.Args)
	require.Contains(t, one.Seen, filepath.Join(r.workspace, "config/manifest.yaml"), "the search reads files")
	require.Regexp(t, `/proc/\d+/environ`, strings.Join(one.Seen, " "), "the search reads the environment")
	require.Equal(t, "/srv", one.Dir)
	require.Equal(t, 0, one.UID, "--user=root")
	for _, want := range []string{"/srv", "/tmp", "/var/tmp", filepath.Join(r.workspace, "config"), filepath.Join(r.workspace, "pool")} {
		require.Contains(t, one.Mounts, want)
	}
	require.NotContains(t, one.Mounts, "/root", "a config cannot ask for what is not in the workspace")
	for _, device := range []string{"/dev/kvm", "/dev/fuse", "/dev/loop-control"} {
		if f, err := os.OpenFile(device, os.O_RDWR, 0); err == nil {
			_ = f.Close()
			require.Contains(t, one.Devices, device)
		}
	}
	for _, entry := range one.Env {
		name, _, _ := strings.Cut(entry, "=")
		require.Contains(t, []string{"PATH", "HOME", "HOSTNAME", "TERM", "LC_ALL", "SOURCE_DATE_EPOCH", "https_proxy", "COSA_NO_KVM", "SSL_CERT_FILE", "SSL_CERT_DIR", "TZ", "NOSA_POOL", "container"}, name)
	}
	require.Contains(t, one.Env, "HOME=/root")
}
