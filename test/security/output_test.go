package security_test

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/handoff"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/testkit/actiontest"
)

// foreignText is what builds, tests and packages say that want more than to be
// read.
const foreignText = "::error::INJECTED\n::set-env name=INJECTED::x\n  ::add-mask::INJECTED\nx\r::set-output name=work-dir::INJECTED\r\n" +
	"::stop-commands::INJECTED\n##[error]INJECTED\ntext ##[set-env name=INJECTED]x\n\u2028::error::INJECTED\n\x1b[2J\x1b]0;INJECTED\x07\u202e\n" +
	"_GitHubActionsFileCommandDelimeter_\nINJECTED=1\nINJECTED<<EOF\nx\nEOF\n" +
	"<img src=x onerror=alert(1)><script>INJECTED</script></pre></code></td></table>\n[INJECTED](https://evil.example/) ![x](https://evil.example/x)\n" +
	"| a | b |\n|---|---|\n```\n# INJECTED\n@everyone https://evil.example/\n<!-- "

// What a build, a test or a package says, on whichever stream and in whichever
// record, is shown as text: it gives no command and is no markup.
func TestWhatBuildsSayIsOnlyText(t *testing.T) {
	w := newWorkflow(t, actiontest.Build(t, ""))
	write(t, filepath.Join(w.Workspace, "foreign"), foreignText)
	for _, stage := range []string{"validate", "fetch", "build", "buildextend-qemu", "kola"} {
		write(t, filepath.Join(w.Workspace, "say-"+stage), foreignText)
		if stage != "validate" {
			write(t, filepath.Join(w.Workspace, "print-"+stage), foreignText)
		}
	}
	shown := ""
	for _, action := range pipeline {
		got := w.job(t, action, nil)
		require.Zero(t, got.Code, got.Log)
		isOnlyText(t, action, got, got.Log)
		isNoMarkup(t, got.Summary)
		shown += got.Summary
	}
	require.Contains(t, shown, mark, "what is hostile is shown, not hidden")

	t.Log("what fails says no more")
	for _, stage := range []string{"fetch", "build", "buildextend-qemu", "kola"} {
		write(t, filepath.Join(w.Workspace, "fail-"+stage), "3")
	}
	for _, action := range pipeline {
		got := w.job(t, action, nil)
		require.Equal(t, 3, got.Code, got.Log)
		isOnlyText(t, action, got, got.Log)
		isNoMarkup(t, got.Summary)
	}
}

func isNoMarkup(t *testing.T, page string) {
	t.Helper()
	for _, made := range []string{"<img", "<script", "<!--", "](https", "https://evil", "@everyone", "\n# ", "```\n#"} {
		require.NotContains(t, page, made)
	}
}

// The same config and packages give the same packs, records and reports on
// another machine, in another time zone and language, under another umask, and
// where directories are listed in another order: all but when it was made.
func TestTheSameInputsGiveTheSamePacksAndReports(t *testing.T) {
	testkit.NeedRoot(t)
	testkit.NeedTool(t, "dnf", "rpm", "ostree", "bwrap", "git", "createrepo_c", "/bin/busybox")
	programs := actiontest.Build(t, "./cmd/nosa")
	rpms := t.TempDir()
	testkit.TinyPackages(t, rpms, "1")
	testkit.IndexRepository(t, rpms)

	here := made(t, programs, rpms, map[string]string{"TZ": "UTC", "LC_ALL": "C.UTF-8"})
	memory, err := os.MkdirTemp("/dev/shm", "nosa-test-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(memory)) })
	t.Setenv("TMPDIR", memory)
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	there := made(t, programs, rpms, map[string]string{"TZ": "Asia/Tokyo", "LC_ALL": "tr_TR.UTF-8", "LANGUAGE": "tr"})

	for name, want := range here {
		assert.Equal(t, want, there[name], name)
	}
	require.Len(t, there, len(here))
}

// made are the results of fetch and build by name: the entries of packs, the
// summaries, and the outputs.
func made(t *testing.T, programs, rpms string, env map[string]string) map[string]string {
	t.Helper()
	w := newWorkflow(t, programs)
	maps.Copy(w.Env, env)
	w.Env["SOURCE_DATE_EPOCH"] = "1700000000"
	write(t, filepath.Join(w.Workspace, "manifest.yaml"), testkit.TinyManifest)
	write(t, filepath.Join(w.Workspace, "image.yaml"), "size: 2\nrootfs: ext4\n")
	write(t, filepath.Join(w.Workspace, "platforms.yaml"), "x86_64: {}\naarch64: {}\n")
	write(t, filepath.Join(w.Workspace, "overlay.d/05core/usr/share/core"), "core\n")
	write(t, filepath.Join(w.Workspace, "tiny.repo"), "[tiny]\nname=tiny\nbaseurl=file://"+rpms+"\ngpgcheck=0\n")
	host(t, "chmod", "-R", "u=rwX,go=rX", w.Workspace) // as git checks out
	results := map[string]string{}
	for _, action := range pipeline[:2] {
		got := w.job(t, action, nil)
		require.Zero(t, got.Code, got.Log)
		results["summary of "+action] = got.Summary
		for name, value := range got.Outputs {
			if !strings.HasPrefix(value, "/") && name != "digest" { // of the manifest, which has times
				results["output "+name+" of "+action] = value
			}
		}
	}
	packs, err := filepath.Glob(filepath.Join(w.artifacts, "*"))
	require.NoError(t, err)
	for _, pack := range packs {
		dir := t.TempDir()
		receipt, err := handoff.UnpackFile(context.WithoutCancel(t.Context()), pack, dir, handoff.UnpackOptions{})
		require.NoError(t, err)
		for _, e := range receipt.Manifest.Entries {
			name := filepath.Base(pack) + ": " + string(e.Path)
			if strings.HasSuffix(name, ".json") && e.Type == handoff.File {
				text, err := os.ReadFile(filepath.Join(dir, string(e.Path)))
				require.NoError(t, err)
				results[name+", content"] = moment.ReplaceAllString(string(text), "$1 TIME")
				e.SHA256 = ""
			}
			e.MTime = 0
			maps.DeleteFunc(e.Xattrs, func(key string, _ []byte) bool { return strings.HasPrefix(key, "user.Librepo.") }) // times too
			text, err := json.Marshal(e)
			require.NoError(t, err)
			results[name] = string(text)
		}
	}
	return results
}

// moment are the records of when a build was made, which upstream's have.
var moment = regexp.MustCompile(`("(?:coreos-assembler\.build-timestamp|coreos-assembler\.meta-stamp|timestamp)":) [^,\n]+`)
