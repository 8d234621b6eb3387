package security_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	acts "github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/release/publish/githubtest"
	"github.com/nestos/nosa-actions/internal/testkit/actiontest"
)

// mark is in hostile values: where it turns up tells what became of them.
const mark = "INJECTED"

// hostile are values that would do harm if anything took them for more than text;
// those that are commands make the file canary. A NUL is not among them: no
// system lets one into an environment.
func hostile(canary string) map[string]string {
	touch := "touch " + canary
	return map[string]string{
		"shell":  "$(" + touch + ")`" + touch + "`; " + touch + " || " + touch + " & " + touch + " | " + touch + " #",
		"quotes": "'; " + touch + "; '$(" + touch + ")\"; " + touch + "; \"`" + touch + "`",
		"lines": "x\n" + touch + "\n::set-output name=work-dir::" + mark + "\n::set-env name=" + mark + "::x\n::add-mask::" + mark +
			"\n::error::" + mark + "\r::error::" + mark + "\r\n::stop-commands::" + mark + "\n##[set-env name=" + mark + "]" + mark +
			"\n_GitHubActionsFileCommandDelimeter_\n" + mark + "=1\n" + mark + "<<EOF\nx\nEOF\n",
		"command":        "::error::" + mark,
		"stop":           " ::stop-commands::" + mark,
		"old command":    "x ##[set-env name=" + mark + "]" + mark + " ##[add-path]/" + mark,
		"escapes":        "%0A::error::" + mark + "%0D%25",
		"assignment":     mark + "=1",
		"markup":         `<img src=x onerror="` + mark + `"></code></td> | [` + mark + "](https://evil.example/) ![x](https://evil.example/x) @everyone",
		"expression":     "${{ github.token }}${{ secrets." + mark + ` }}{{ .Token }}{{ define "x" }}`,
		"bidirectional":  "a\u202e" + mark + "\u2066\u200b\ufeff",
		"other blanks":   "\u2028::error::" + mark + "\u0085::error::" + mark,
		"invalid UTF-8":  "\xff\xfe" + mark + "\xc0\xaf",
		"control":        "\x1b]0;" + mark + "\x07\x1b[2J\x08",
		"long":           strings.Repeat("A", 100<<10),
		"long list":      strings.Repeat("a b,", 20<<10),
		"flag":           "--help",
		"flags":          "-rf --config=/etc/passwd -- -",
		"traversal":      "../../" + mark + "/../x",
		"path":           "/etc/passwd",
		"patterns":       "~/$HOME/*?[a-z]{a,b}",
		"image":          "oci-archive:../../../etc/passwd@sha256:" + strings.Repeat("0", 64),
		"number, object": `-1e999 {"a": ["` + mark + `"]}`,
	}
}

// apart are actions that ask for more than there is here: a registry, an event, a
// changed lockfile.
var apart = map[string]bool{"actions/push-container": true, "actions/comment": true, "actions/propose": true}

// necessary are inputs without which an action does nothing.
func necessary(action string) map[string]string {
	if action == "actions/report" {
		return map[string]string{"jobs": `{"build": {"result": "success", "outputs": {}}}`}
	}
	return map[string]string{}
}

// forScripts are those that aim at scripts and at the files between steps. The
// root action runs the programs of the others, so these are enough for it.
var forScripts = []string{"shell", "quotes", "lines", "old command"}

// first are those that have found the most; make boots tries all.
var first = append([]string{"markup", "control", "long", "flags"}, forScripts...)

// Whatever stands in whichever input of whichever action: nothing of it is run, it
// gives the runner no command, no output and no variable, and the step ends well
// or says in an annotation what is wrong. The inputs are those of the action.yml
// files.
func TestHostileInputsAreOnlyText(t *testing.T) {
	programs := actiontest.Build(t, "")
	packs := artifacts(t, programs)
	all := os.Getenv("NOSA_TEST_BOOT") != ""
	script, err := os.ReadFile("../../actions/run.sh")
	require.NoError(t, err)
	for _, action := range every(t) {
		w := newWorkflow(t, programs)
		w.artifacts = packs
		releases(t, w, action)
		got := w.job(t, action, necessary(action))
		if apart[action] {
			require.NotEmpty(t, got.Errors(), action)
		} else {
			require.Zero(t, got.Code, "%s does not work at all: %s", action, got.Log)
		}
		for input := range metadata(t, action).Inputs {
			t.Run(filepath.Join("root", action, input), func(t *testing.T) {
				t.Parallel()
				canary := filepath.Join(t.TempDir(), "canary")
				for kind, value := range hostile(canary) {
					if action == "." && !slices.Contains(forScripts, kind) || !all && !slices.Contains(first, kind) {
						continue
					}
					w := newWorkflow(t, programs)
					w.artifacts = packs
					server := releases(t, w, action)
					w.Direct = !slices.Contains(forScripts, kind) && !strings.Contains(string(script), acts.InputVariable(input))

					inputs := necessary(action)
					inputs[input] = value

					got := w.job(t, action, inputs)

					told := fmt.Sprintf("%s: %.200q; the log:\n%s", kind, value, shorten(got.Log))
					require.NoFileExists(t, canary, told)
					if input == "password" || input == "token" {
						got.Log = withoutMasks(got.Log) // these the runner is to hide
					}
					isOnlyText(t, action, got, told)
					if server != nil {
						publishedText(t, server, told)
					}
				}
			})
		}
	}
}

// releases gives the action that releases a GitHub of its own.
func releases(t *testing.T, w *workflow, action string) *githubtest.Server {
	t.Helper()
	if action != "actions/release" {
		return nil
	}
	server := githubtest.New(t, githubtest.Options{Tags: []string{"v1.0"}})
	maps.Copy(w.Env, map[string]string{
		"GITHUB_API_URL": server.URL, "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "nestos/demo",
		"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v1.0",
	})
	w.Context["github.token"] = githubtest.Token
	return server
}

func withoutMasks(log string) string {
	return regexp.MustCompile(`(?m)^::add-mask::.*$`).ReplaceAllString(log, "")
}

// ours are the commands that our programs give.
var ours = []string{"group", "endgroup", "error", "warning", "notice", "add-mask"}

// longest is how much of an annotation a person reads.
const longest = 2000

// isOnlyText checks that a run did no more than an action does, and ended as one
// should.
func isOnlyText(t *testing.T, action string, got actiontest.Result, told string) {
	t.Helper()
	for _, c := range got.Commands() {
		require.Contains(t, ours, c.Name, told)
		require.NotEqual(t, mark, strings.TrimSpace(c.Message), told)
		require.NotContains(t, c.Properties, mark, told)
		require.LessOrEqual(t, len(c.Message), longest, told)
		if c.Name == "add-mask" {
			require.NotContains(t, c.Message, mark, told)
		}
	}
	for name, value := range got.Outputs {
		require.Contains(t, outputNames(t, action), name, told)
		require.NotEqual(t, mark, value, told)
	}
	require.Empty(t, got.Environment, told)
	for _, made := range []string{"<img", "](https://evil", "](javascript", "@everyone"} {
		require.NotContains(t, got.Summary, made, told)
	}
	require.NotRegexp(t, "[\u202a-\u202e\u2066-\u2069\x1b\x08]", got.Log, told)
	require.NotContains(t, got.Log, "goroutine ", told)
	require.NotEqual(t, 70, got.Code, told)
	if got.Code != 0 {
		require.NotEmpty(t, got.Errors(), told)
	}
}

var outputName = regexp.MustCompile(`steps\.[\w-]+\.outputs\.([\w-]+)`)

// outputNames are the outputs that an action.yml speaks of, and those of the
// actions whose programs it runs.
func outputNames(t *testing.T, action string) []string {
	t.Helper()
	var names []string
	for _, a := range append(slices.Clone(pipeline), "actions/plan", action) {
		text, err := os.ReadFile(filepath.Join("../..", a, "action.yml"))
		require.NoError(t, err)
		for _, match := range outputName.FindAllStringSubmatch(string(text), -1) {
			names = append(names, match[1])
		}
	}
	return names
}

// publishedText looks at what a release says to its readers.
func publishedText(t *testing.T, server *githubtest.Server, told string) {
	t.Helper()
	for _, r := range server.Releases() {
		for _, made := range []string{"<img", "](https://evil", "@everyone"} {
			require.NotContains(t, r.Body, made, told)
		}
	}
}

// shorten leaves out the middle of long lines.
func shorten(log string) string {
	var out strings.Builder
	for line := range strings.Lines(log) {
		if len(line) > 600 {
			line = line[:500] + " [...]\n"
		}
		out.WriteString(line)
	}
	return out.String()
}
