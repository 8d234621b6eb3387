package actions

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/format/document"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/testkit/actiontest"
)

// These tests hold the workflows, ours and those to copy, to what docs/security.md
// promises of them.

const (
	ourWorkflows     = "../.github/workflows/*.y*ml"
	exampleWorkflows = "../examples/workflows/*.y*ml"
)

func workflows(t *testing.T, patterns ...string) map[string]document.Node {
	t.Helper()
	found := map[string]document.Node{}
	for _, pattern := range patterns {
		paths, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, paths, pattern)
		for _, path := range paths {
			node, err := document.Load(path)
			require.NoError(t, err)
			found[strings.TrimPrefix(path, "../")] = node
		}
	}
	return found
}

func jobs(workflow document.Node) map[string]document.Node {
	all := map[string]document.Node{}
	list, _ := workflow.Get("jobs")
	for _, field := range list.Fields {
		all[field.Key] = field.Value
	}
	return all
}

// steps calls each for every step of all workflows.
func steps(t *testing.T, each func(place string, step document.Node)) {
	t.Helper()
	for file, workflow := range workflows(t, ourWorkflows, exampleWorkflows) {
		for name, job := range jobs(workflow) {
			list, _ := job.Get("steps")
			for i, step := range list.Items {
				each(fmt.Sprintf("%s, job %s, step %d", file, name, i+1), step)
			}
		}
	}
}

func text(node document.Node, keys ...string) string {
	for _, key := range keys {
		node, _ = node.Get(key)
	}
	return node.Text
}

// Whoever may choose the text of an expression, such as the title of a pull
// request or the name of a branch, would write a part of the script.
func TestNoExpressionStandsInAScriptOfAWorkflow(t *testing.T) {
	steps(t, func(place string, step document.Node) {
		for _, script := range []string{text(step, "run"), text(step, "with", "script")} {
			require.NotContains(t, script, "${{", "%s: hand the value over under env", place)
		}
	})
}

// A condition or an input of an action is no script, but what a stranger chose
// may still not steer a job that can write.
var foreign = regexp.MustCompile(`github\.(head_ref|event\.(pull_request\.(title|body|head\.(ref|label))|issue\.(title|body)|comment\.body|review\.body|commits|head_commit\.(message|author)|workflow_run\.(head_branch|display_title|head_commit)))`)

func TestWorkflowsPasteNoTextOfStrangers(t *testing.T) {
	for file, workflow := range workflows(t, ourWorkflows, exampleWorkflows) {
		concurrency, _ := workflow.Get("concurrency")
		walk(workflow, func(n document.Node) {
			if n.Pos.Line >= concurrency.Pos.Line && strings.HasPrefix(n.Path, "concurrency") {
				return // a name of a group, nothing more
			}
			require.NotRegexp(t, foreign, n.Text, "%s: %s", file, n.Path)
		})
	}
}

func walk(n document.Node, each func(document.Node)) {
	each(n)
	for _, item := range n.Items {
		walk(item, each)
	}
	for _, field := range n.Fields {
		walk(field.Value, each)
	}
}

// A job that hangs would hold a runner for six hours, or for ever on one's own.
func TestEveryJobHasATimeLimit(t *testing.T) {
	for file, workflow := range workflows(t, ourWorkflows, exampleWorkflows) {
		for name, job := range jobs(workflow) {
			if text(job, "uses") != "" {
				continue // the limits are those of the jobs of the workflow that it calls
			}
			limit := text(job, "timeout-minutes")
			if fallback := regexp.MustCompile(`\|\| *'?(\d+)'? *\}\}$`).FindStringSubmatch(limit); fallback != nil {
				limit = fallback[1]
			}
			minutes, err := strconv.Atoi(limit)
			require.NoError(t, err, "%s: job %s has no timeout-minutes", file, name)
			require.LessOrEqual(t, minutes, 360, "%s: job %s", file, name)
		}
	}
}

func TestWorkflowsOfOursDoNotPileUp(t *testing.T) {
	for file, workflow := range workflows(t, ourWorkflows) {
		_, ok := workflow.Get("concurrency")
		require.True(t, ok, "%s has no concurrency", file)
	}
}

// A required check that is skipped counts as passed: the report is skipped only where
// nothing ran, and then by another name, so that it cannot stand in for that of a run.
func TestTheReportOfARunIsNeverSkipped(t *testing.T) {
	workflow := workflows(t, ourWorkflows)[".github/workflows/pull-request.yml"]
	all := jobs(workflow)
	require.Equal(t, "always() && needs.matrix.result != 'skipped'", text(all["report"], "if"))
	require.Equal(t, "${{ needs.matrix.result == 'skipped' && 'no report' || 'report' }}", text(all["report"], "name"))
	for name, job := range all {
		if name != "matrix" && name != "report" {
			require.NotContains(t, text(job, "if"), "always()", "job %s runs where matrix is skipped", name)
		}
	}
}

// A label that asks for no platform starts a run that does nothing and ends no other.
func TestLabelsOfOtherKindsRestartNothing(t *testing.T) {
	workflow := workflows(t, ourWorkflows)[".github/workflows/pull-request.yml"]
	matrix := jobs(workflow)["matrix"]
	require.Equal(t, "github.event.action != 'labeled' || startsWith(github.event.label.name, 'nosa/')", text(matrix, "if"))
	require.Contains(t, text(workflow, "concurrency", "group"),
		"-${{ github.event.action == 'labeled' && !startsWith(github.event.label.name, 'nosa/') && github.run_id || github.ref }}-")
	comment := jobs(workflows(t, ourWorkflows)[".github/workflows/report.yml"])["comment"]
	require.Contains(t, text(comment, "if"), "github.event.workflow_run.conclusion != 'skipped'", "it has no report to show")
	require.Equal(t, "nosa/", *actiontest.Read(t, "matrix/action.yml").Inputs["label-prefix"].Default)
}

// A release is what tests have booted: its job waits for them, and what boots none is
// refused before anything is built.
func TestNothingIsReleasedUntested(t *testing.T) {
	all := jobs(workflows(t, ourWorkflows)[".github/workflows/release.yml"])
	require.Equal(t, "run-test", text(all["release"], "needs"))
	for name, job := range all {
		require.Empty(t, text(job, "if"), "job %s", name)
		require.Empty(t, text(job, "continue-on-error"), "job %s", name)
	}
	list, _ := all["matrix"].Get("steps")
	matrix := list.Items[len(list.Items)-1]
	require.Equal(t, "./.nosa/actions/matrix", text(matrix, "uses"))
	require.Equal(t, "true", text(matrix, "with", "require-tests"))
	require.Empty(t, text(matrix, "with", "label-prefix"), "a tag has no labels")
}

// What a caller says of artifacts and of the compiler holds for every step.
func TestWorkflowsUseActionsOfTheSuiteAlike(t *testing.T) {
	for file, workflow := range workflows(t, ourWorkflows) {
		call, ok := called(workflow)
		if !ok {
			continue
		}
		inputs, _ := call.Get("inputs")
		_, retention := inputs.Get("retention-days")
		for name, job := range jobs(workflow) {
			list, _ := job.Get("steps")
			for _, step := range list.Items {
				place := fmt.Sprintf("%s, job %s: %s", file, name, text(step, "uses"))
				if strings.HasPrefix(text(step, "uses"), "actions/setup-go@") {
					require.Equal(t, "hashFiles('.nosa/actions/binaries') == ''", text(step, "if"), "%s: a release has programs", place)
				}
				action, ours := strings.CutPrefix(text(step, "uses"), "./.nosa/actions/")
				if !ours || !retention {
					continue
				}
				if _, has := actiontest.Read(t, action+"/action.yml").Inputs["retention-days"]; has {
					require.Equal(t, "${{ inputs.retention-days }}", text(step, "with", "retention-days"), place)
				}
			}
		}
	}
}

// called is how a workflow is called by others, if it is.
func called(workflow document.Node) (document.Node, bool) {
	on, _ := workflow.Get("on")
	return on.Get("workflow_call")
}

// No workflow gives a stranger's code secrets or a token that writes.
func TestNoWorkflowRunsStrangersCodeWithRights(t *testing.T) {
	for file, workflow := range workflows(t, ourWorkflows, exampleWorkflows) {
		on, _ := workflow.Get("on")
		events := []string{on.Text}
		for _, item := range on.Items {
			events = append(events, item.Text)
		}
		for _, field := range on.Fields {
			events = append(events, field.Key)
		}
		require.NotContains(t, events, "pull_request_target", file)
		if !slices.Contains(events, "workflow_run") && !slices.Contains(events, "issue_comment") {
			continue
		}
		for name, job := range jobs(workflow) {
			list, _ := job.Get("steps")
			for _, step := range list.Items {
				if strings.HasPrefix(text(step, "uses"), "actions/checkout@") {
					require.NotRegexp(t, `head|workflow_run|event`, text(step, "with", "ref")+text(step, "with", "repository"), "%s: job %s", file, name)
				}
			}
		}
	}
}

func TestCheckoutsLeaveNoToken(t *testing.T) {
	steps(t, func(place string, step document.Node) {
		if strings.HasPrefix(text(step, "uses"), "actions/checkout@") {
			require.Equal(t, "false", text(step, "with", "persist-credentials"), place)
		}
	})
}

func TestContainersOfJobsAreNamedByDigest(t *testing.T) {
	for file, workflow := range workflows(t, ourWorkflows, exampleWorkflows) {
		for name, job := range jobs(workflow) {
			images := []string{text(job, "container"), text(job, "container", "image")}
			services, _ := job.Get("services")
			for _, field := range services.Fields {
				images = append(images, text(field.Value, "image"))
			}
			for _, image := range images {
				if image != "" {
					require.Regexp(t, `@sha256:[0-9a-f]{64}$`, image, "%s: job %s", file, name)
				}
			}
		}
	}
}

// grants are all permissions that jobs have beyond reading the repository, and
// why. A reader finds them in docs/security.md, where -update puts them.
var grants = []struct{ workflow, job, permission, why string }{
	{".github/workflows/assembler-image.yml", "push", "packages: write", "pushes the image that another job built"},
	{".github/workflows/assembler-image.yml", "push", "id-token: write", "is the identity in the attestation of the image"},
	{".github/workflows/assembler-image.yml", "push", "attestations: write", "records that attestation"},
	{".github/workflows/refresh-lockfile.yml", "propose", "contents: write", "pushes the branch with the lockfiles that another job made"},
	{".github/workflows/refresh-lockfile.yml", "propose", "pull-requests: write", "opens the pull request"},
	{".github/workflows/release.yml", "release", "contents: write", "makes the release and uploads its assets"},
	{".github/workflows/release.yml", "release", "id-token: write", "is the identity in the attestation of the assets"},
	{".github/workflows/release.yml", "release", "attestations: write", "records that attestation"},
	{".github/workflows/push-container.yml", "push-container", "packages: write", "pushes the image to GitHub's registry"},
	{"examples/workflows/release.yml", "os", "contents: write", "lends it to release.yml"},
	{"examples/workflows/release.yml", "os", "id-token: write", "lends it to release.yml"},
	{"examples/workflows/release.yml", "os", "attestations: write", "lends it to release.yml"},
	{"examples/workflows/release.yml", "container", "packages: write", "lends it to push-container"},
	{"examples/workflows/release.yml", "page", "pages: write", "publishes the download page"},
	{"examples/workflows/release.yml", "page", "id-token: write", "tells GitHub Pages which repository it is of"},
	{".github/workflows/report.yml", "comment", "actions: read", "reads the report, an artifact of the pull request's run"},
	{".github/workflows/report.yml", "comment", "pull-requests: write", "writes the comment"},
	{".github/workflows/suite-release.yml", "release", "contents: write", "makes the tag and the release of the actions"},
	{".github/workflows/suite-release.yml", "release", "id-token: write", "is the identity in the attestation of the programs"},
	{".github/workflows/suite-release.yml", "release", "attestations: write", "records that attestation"},
	{".github/workflows/suite-release.yml", "assembler-image", "actions: write", "starts the workflow assembler-image on the new tag"},
	{"examples/workflows/refresh-lockfile.yml", "lockfile", "contents: write", "lends it to refresh-lockfile.yml"},
	{"examples/workflows/refresh-lockfile.yml", "lockfile", "pull-requests: write", "lends it to refresh-lockfile.yml"},
	{"examples/workflows/report.yml", "report", "actions: read", "lends it to report.yml"},
	{"examples/workflows/report.yml", "report", "pull-requests: write", "lends it to report.yml"},
}

func TestPermissionsAreTheLeastAndDocumented(t *testing.T) {
	var asked, documented []string
	for file, workflow := range workflows(t, ourWorkflows, exampleWorkflows) {
		top, ok := workflow.Get("permissions")
		require.True(t, ok, "%s has no permissions, so it has the repository's default", file)
		require.Equal(t, document.Map, top.Kind, file)
		for _, p := range permissions(top) {
			require.Equal(t, "contents: read", p, "%s: give more to the job that needs it", file)
		}
		for name, job := range jobs(workflow) {
			own, _ := job.Get("permissions")
			for _, p := range permissions(own) {
				if p != "contents: read" {
					asked = append(asked, fmt.Sprintf("%s, job %s: %s", file, name, p))
				}
			}
		}
	}
	var table strings.Builder
	table.WriteString("\n| workflow | job | permission | the job |\n|---|---|---|---|\n")
	for _, g := range grants {
		documented = append(documented, fmt.Sprintf("%s, job %s: %s", g.workflow, g.job, g.permission))
		fmt.Fprintf(&table, "| `%s` | `%s` | `%s` | %s |\n", g.workflow, g.job, g.permission, g.why)
	}
	slices.Sort(asked)
	require.ElementsMatch(t, documented, asked, "say in grants, beside this test, why a job needs more than to read")
	testkit.Section(t, "../docs/security.md", "permissions", table.String()+"\n")
}

func permissions(node document.Node) []string {
	var list []string
	if node.Text != "" {
		list = append(list, node.Text) // read-all, write-all
	}
	all := map[string]string{}
	for _, field := range node.Fields {
		all[field.Key] = field.Value.Text
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		list = append(list, key+": "+all[key])
	}
	return list
}
