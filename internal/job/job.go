// Package job is what the actions have in common: the work directory of the
// job, the assembler that runs stages in it, and the artifacts that come from
// earlier jobs and go to later ones.
package job

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/assembler"
	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/handoff"
	"github.com/nestos/nosa-actions/internal/plan"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// Inputs are those that every action has.
type Inputs struct {
	// Config is the path of the config, relative to the workspace or to
	// Checkout, the directory in it that another repository was checked out to.
	Config, Checkout string

	Variant string // variant of the manifest; "" is the default one
	// YumRepos is a directory with .repo files beside those of the config, ""
	// if there is none.
	YumRepos string
	Workdir  string // work directory; "" is one in the runner's temporary directory
	Handoff  bool   // receive from and send to other jobs
	// Assembler is "host", or the image that stages run in; Engine is what runs
	// it, "buildah" or "podman".
	Assembler, Engine string
	FreeDiskSpace     bool // remove what a hosted runner has to spare

	// Stage is the stage that the job is for, and Platforms those that it makes
	// images for. The caller says so, for the forecast; "" forgoes it.
	Stage     plan.Stage
	Platforms []string
	Timeout   time.Duration // of the step; 0 is none
	Paths     []Path        // further ones that stages are told of
	// Architectures is the number of those that the run builds, each on a runner of
	// its own; 0 is 1. The caller reads it, for the forecast.
	Architectures int
}

// foreignCheckout is where the action.yml files check a config-repository out to,
// relative to the workspace.
const foreignCheckout = ".nosa-config"

var repositoryName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$`)

// ReadInputs reads the common inputs of a step; Open reports what is wrong with
// them and with those that the caller reads in between.
func ReadInputs(s *action.Step) Inputs {
	in := Inputs{
		Config:   s.Required("config"),
		Variant:  s.Input("variant"),
		YumRepos: s.Input("yumrepos"),
		Workdir:  s.Input("work-dir"),
		Handoff:  s.Bool("handoff"),
	}
	in.Assembler, in.Engine = readAssembler(s)
	in.FreeDiskSpace = s.Bool("free-disk-space")
	in.Timeout = time.Duration(s.Int("timeout-minutes", 1, 5*24*60)) * time.Minute
	repository, ref := s.Input("config-repository"), s.Input("config-ref")
	switch {
	case repository != "" && !repositoryName.MatchString(repository):
		s.Wrong("config-repository", fmt.Sprintf("is %q", repository), "write OWNER/NAME")
	case repository != "":
		in.Checkout = foreignCheckout
	case ref != "":
		s.Wrong("config-ref", "is set without config-repository", "name the repository, or give the ref to actions/checkout")
	}
	s.Int("retention-days", 0, 400) // used by the upload alone
	if strings.HasPrefix(in.Variant, "-") || strings.ContainsAny(in.Variant, "/,") {
		s.Wrong("variant", fmt.Sprintf("is %q", in.Variant), "write the NAME of manifest-NAME.yaml")
	}
	return in
}

// Limit ends a context when the time of the step is up.
func (in Inputs) Limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if in.Timeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, in.Timeout, fmt.Errorf(
		"stopped after %d minutes, as the input timeout-minutes says; give it more, or take a faster runner", int(in.Timeout.Minutes())))
}

// Job is one job of a workflow at work.
type Job struct {
	Step    *action.Step
	Arch    arch.Arch
	Workdir string // absolute
	Config  string // absolute

	workspace string
	temp      string
	handoff   bool
	arches    int    // that the run builds; 0 is 1
	revision  string // of the config; "" if unknown
	received  shelf
	entry     *handoff.Base // what actions/cache has restored
	nosa      assembler.Assembler
	gauge     *gauge
}

// Open makes the work directory for the config, running nosa init, or takes the
// one that an earlier action of the job made for the same config.
func Open(ctx context.Context, s *action.Step, in Inputs) (*Job, error) {
	j, err := Locate(s, in)
	if err != nil {
		return nil, err
	}
	if j.revision, err = revision(ctx, j.Config); err != nil {
		return nil, err
	}
	if err := j.ready(ctx, in); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(j.Workdir, 0o755); err != nil {
		return nil, err
	}
	made, err := j.made()
	if err != nil || made {
		return j, err
	}
	args := []string{j.Config}
	if in.Variant != "" {
		args = append(args, "--variant="+in.Variant)
	}
	if in.YumRepos != "" {
		args = append(args, "--yumrepos="+inside(j.workspace, in.YumRepos))
	}
	return j, j.Run(ctx, "init", args...)
}

// made tells whether the work directory is there already, and refuses that of
// another config.
func (j *Job) made() (bool, error) {
	link := filepath.Join(j.Workdir, "src", "config")
	config, err := filepath.EvalSymlinks(link)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	want, err := filepath.EvalSymlinks(j.Config)
	if err != nil {
		return false, err
	}
	if config != want {
		return false, fmt.Errorf("work directory %s belongs to the config %s, not to %s; give each config its own work-dir", j.Workdir, config, want)
	}
	return true, nil
}

// Locate reports wrong inputs and finds everything that must be there before
// anything runs. It makes nothing.
func Locate(s *action.Step, in Inputs) (*Job, error) {
	if err := s.InputErr(); err != nil {
		return nil, err
	}
	workspace, err := s.Workspace()
	if err != nil {
		return nil, err
	}
	temp, err := s.Temp()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	host, err := arch.Host()
	if err != nil {
		return nil, err
	}
	j := &Job{Step: s, Arch: host, workspace: workspace, temp: temp, handoff: in.Handoff, arches: in.Architectures}
	j.Config = inside(filepath.Join(workspace, in.Checkout), in.Config)
	j.Workdir = filepath.Join(temp, "nosa")
	if in.Workdir != "" {
		j.Workdir = inside(workspace, in.Workdir)
	}
	if err := j.checkConfig(in.Config); err != nil {
		return nil, err
	}
	if err := j.checkPaths(in.paths()); err != nil {
		return nil, err
	}
	j.nosa, err = j.assembler(in, filepath.Dir(self))
	return j, err
}

func inside(workspace, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(workspace, path)
}

// checkConfig catches what goes wrong first in a new workflow, and says it in
// terms of the workflow.
func (j *Job) checkConfig(input string) error {
	var found diag.List
	for _, name := range []string{"manifest.yaml", "image.yaml"} {
		_, err := os.Stat(filepath.Join(j.Config, name))
		if errors.Is(err, fs.ErrNotExist) {
			found.Add(diag.Finding{
				Message: fmt.Sprintf("input config: %q has no %s", input, name),
				Mend:    "run actions/checkout before this action, or point the input to the directory with the config",
			})
		} else if err != nil {
			return fmt.Errorf("input config: %w", err)
		}
	}
	return found.Err()
}

// Run runs a stage as a group of the log. What it says about places in the
// config becomes annotations, whether it fails or not.
func (j *Job) Run(ctx context.Context, stage string, args ...string) error {
	what := assembler.Stage{Name: stage, Args: args}
	end := j.Step.Group(what.String())
	findings, err := j.nosa.Run(ctx, what)
	end()
	err = errors.Join(j.explain(err), j.giveBack())
	if err != nil && diag.Findings(err) != nil {
		return err // these findings are annotated where errors are
	}
	for _, f := range findings {
		j.Step.Finding(f)
	}
	return err
}

// Build is the newest build in the work directory.
func (j *Job) Build() (workdir.Build, error) {
	dir, err := workdir.Open(j.Workdir, j.Arch)
	if err != nil {
		return workdir.Build{}, err
	}
	return dir.Latest()
}

// Fresh makes a directory, empty, in the runner's temporary directory.
func (j *Job) Fresh(name string) (string, error) {
	path := filepath.Join(j.temp, name)
	if err := os.RemoveAll(path); err != nil {
		return "", err
	}
	return path, os.MkdirAll(path, 0o755)
}

// Results makes a directory, empty, that stages may write to, and returns its
// path relative to the work directory: in a container that lies elsewhere.
func (j *Job) Results(name string) (string, error) {
	path := filepath.Join("tmp", name)
	if err := os.RemoveAll(filepath.Join(j.Workdir, path)); err != nil {
		return "", err
	}
	return path, os.MkdirAll(filepath.Join(j.Workdir, path), 0o755)
}

// revision is the commit of the config's repository, or "" where it is none.
func revision(ctx context.Context, config string) (string, error) {
	// The checkout belongs to another user than root, which git refuses unless
	// told; reading HEAD runs nothing of the repository.
	out, err := tool.Host{}.Run(ctx, tool.Cmd{
		Name: "git", Args: []string{"-c", "safe.directory=*", "-C", config, "rev-parse", "--verify", "--quiet", "HEAD"},
	})
	if _, failed := errors.AsType[*tool.Error](err); failed {
		return "", nil
	}
	return strings.TrimSpace(string(out)), err
}
