// Release publishes the images of a build as assets of a GitHub release.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/job"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/release"
	"github.com/nestos/nosa-actions/internal/release/publish"
	"github.com/nestos/nosa-actions/internal/tool"
)

func main() { os.Exit(action.Main(run)) }

// inputs are what the step was asked for.
type inputs struct {
	options release.Options
	github  publish.Config
	workDir string
	handoff bool
	compare bool
	publish bool
	export  bool // an OSTree repository
	keep    int  // prereleases; 0: all
}

func run(ctx context.Context, step *action.Step) error {
	in := read(step)
	if err := step.InputErr(); err != nil {
		return err
	}
	o := &in.options
	o.Runner, o.Log = tool.Host{}, progress.New(lines{step})
	plan, err := collect(ctx, step, in)
	if err != nil {
		return err
	}
	page, err := writePage(step, *o, plan)
	if err != nil {
		return err
	}
	var result publish.Result
	if in.publish {
		end := step.Group("publish release " + plan.Tag)
		result, err = publish.Publish(ctx, o.Log, in.github, *plan)
		end()
		if err != nil {
			return err
		}
		if err := retain(ctx, step, in, *plan); err != nil {
			return err
		}
	}
	return errors.Join(step.Output("page", page), finish(step, in, plan, result))
}

func read(s *action.Step) *inputs {
	in := &inputs{
		workDir: s.Input("work-dir"), handoff: s.Bool("handoff"), compare: s.Bool("compare"), publish: s.Bool("publish"),
		export: s.Bool("export-repo"),
	}
	in.keep = s.Int("keep-prereleases", 1, 1000)
	in.github = publish.Config{BaseURL: os.Getenv("GITHUB_API_URL"), Token: s.Input("token"), Parallel: s.Int("parallel", 1, 16)}
	if in.publish && in.github.Token == "" {
		s.Wrong("token", "is empty", "leave it to the job's own, and give the job permissions: contents: write")
	}
	in.options = release.Options{
		Build: s.Input("build"), Arches: s.List("arches"), Server: os.Getenv("GITHUB_SERVER_URL"),
		Tag: tag(s), Target: s.Input("target"), TagFormats: s.List("tag-format"), Name: s.Input("name"),
		Prereleases: s.List("prerelease"), Compressor: s.Input("compressor"), Stream: s.Input("stream"),
		Container: s.Input("container"), Template: s.Input("notes-template"), Attested: s.Bool("attest"),
		SigningKey: os.Getenv("NOSA_SIGNING_KEY"), SigningPassphrase: os.Getenv("NOSA_SIGNING_PASSPHRASE"),
	}
	o := &in.options
	switch latest := s.Input("latest"); latest {
	case "", "auto":
	case "true", "false", "legacy":
		o.Latest = latest
	default:
		s.Wrong("latest", fmt.Sprintf("is %q", latest), "write auto, true, false or legacy")
	}
	o.Owner, o.Repo = repository(s)
	if in.handoff && in.workDir != "" {
		s.Wrong("work-dir", "is given with handoff", "set handoff to false, or leave work-dir empty")
	}
	return in
}

// tag is the one that is asked for, or the pushed one.
func tag(s *action.Step) string {
	tag := strings.TrimPrefix(s.Input("tag"), "refs/tags/")
	if tag == "" && os.Getenv("GITHUB_REF_TYPE") == "tag" {
		tag = os.Getenv("GITHUB_REF_NAME")
	}
	if tag == "" {
		s.Wrong("tag", "is empty, and this run is not that of a pushed tag", "run on: push: tags, or name the tag")
	}
	return tag
}

func repository(s *action.Step) (owner, name string) {
	full := s.Input("repository")
	if full == "" {
		full = os.Getenv("GITHUB_REPOSITORY")
	}
	owner, name, _ = strings.Cut(full, "/")
	if owner == "" || name == "" || strings.Contains(name, "/") {
		s.Wrong("repository", fmt.Sprintf("is %q", full), "write OWNER/NAME")
	}
	return owner, name
}

// collect makes the plan of the release.
func collect(ctx context.Context, step *action.Step, in *inputs) (*release.Plan, error) {
	o := &in.options
	temp, err := step.Temp()
	if err != nil {
		return nil, err
	}
	workspace, err := step.Workspace()
	if err != nil {
		return nil, err
	}
	if o.Template != "" && !filepath.IsAbs(o.Template) {
		o.Template = filepath.Join(workspace, o.Template)
	}
	switch {
	case in.handoff:
		o.Dirs, err = job.ReceiveBuilds(ctx, step)
	case in.workDir == "":
		o.Dirs = []string{filepath.Join(temp, "nosa")}
	case filepath.IsAbs(in.workDir):
		o.Dirs = []string{in.workDir}
	default:
		o.Dirs = []string{filepath.Join(workspace, in.workDir)}
	}
	if err != nil {
		return nil, err
	}
	if in.export {
		if err := exportRepos(ctx, step, o); err != nil {
			return nil, err
		}
	}
	if err := before(ctx, step, in, temp); err != nil {
		return nil, err
	}
	o.Out = filepath.Join(temp, "nosa-release")
	if err := errors.Join(os.RemoveAll(o.Out), os.MkdirAll(o.Out, 0o755)); err != nil {
		return nil, err
	}
	end := step.Group("collect the release")
	defer end()
	return release.Collect(ctx, *o)
}

// before fetches the metadata of the release before: the package lists for the
// changes, the rest for the download page.
func before(ctx context.Context, step *action.Step, in *inputs, temp string) error {
	o := &in.options
	if !in.compare || in.github.Token == "" {
		return nil
	}
	dir := filepath.Join(temp, "nosa-release-before")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	prerelease, err := release.IsPrerelease(o.Tag, o.Prereleases)
	if err != nil {
		return err
	}
	plan := release.Plan{Owner: o.Owner, Repo: o.Repo, Tag: o.Tag, Prerelease: prerelease}
	isList := func(name string) bool {
		kind, _, _ := strings.Cut(name, ".")
		return strings.HasSuffix(name, ".json") && slices.Contains([]string{"assets", "changes", "commitmeta", "meta"}, kind)
	}
	o.PreviousTag, err = publish.FetchEarlier(ctx, o.Log, in.github, plan, isList, dir)
	if err != nil {
		return err
	}
	if o.PreviousTag != "" {
		o.Previous = dir
		step.Log("changes are told since release %s", o.PreviousTag)
	}
	return nil
}

// retain removes old prereleases, after a prerelease was published.
func retain(ctx context.Context, step *action.Step, in *inputs, plan release.Plan) error {
	if in.keep == 0 || !plan.Prerelease {
		return nil
	}
	removed, err := publish.Retain(ctx, in.options.Log, in.github, plan, in.keep)
	if len(removed) > 0 {
		step.Log("removed the prereleases %s", strings.Join(removed, ", "))
	}
	return err
}

func finish(step *action.Step, in *inputs, plan *release.Plan, result publish.Result) error {
	var bytes int64
	for _, a := range plan.Assets {
		bytes += a.Size
	}
	sums := plan.Assets[slices.IndexFunc(plan.Assets, func(a release.Asset) bool { return a.Name == "SHA256SUMS" })]
	step.Log("%d assets, %.1f MB, %d uploaded, %d there before", len(plan.Assets), float64(bytes)/1e6, result.Uploaded, result.Kept)
	return errors.Join(
		step.Output("url", result.URL),
		step.Output("tag", plan.Tag),
		step.Output("build-id", plan.Build),
		step.Output("prerelease", fmt.Sprint(plan.Prerelease)),
		step.Output("previous", in.options.PreviousTag),
		step.Output("assets", fmt.Sprint(len(plan.Assets))),
		step.Output("uploaded", fmt.Sprint(result.Uploaded)),
		step.Output("directory", in.options.Out),
		step.Output("sums", sums.Path),
		step.Summary(summary(plan, result)),
	)
}

func summary(plan *release.Plan, result publish.Result) string {
	title := release.Text(plan.Tag).String()
	if result.URL != "" {
		title = fmt.Sprintf("[%s](%s)", title, result.URL)
	}
	return fmt.Sprintf("### Release %s\n\n%s", title, plan.Notes)
}

// lines is the log of the step as a writer; what is written is text to the
// runner, never a command.
type lines struct{ step *action.Step }

func (l lines) Write(p []byte) (int, error) {
	l.step.Log("%s", p)
	return len(p), nil
}
