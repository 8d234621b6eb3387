// Push-container sends the commit of a build to a container registry, the images of
// all architectures under one tag.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/assembler"
	"github.com/nestos/nosa-actions/internal/job"
	"github.com/nestos/nosa-actions/internal/release"
	"github.com/nestos/nosa-actions/internal/retry"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

func main() { os.Exit(action.Main(run)) }

// inputs are what the step was asked for.
type inputs struct {
	image              string // without a tag
	tags               []string
	username, password string
	handoff            bool
	workDir, build     string
}

func run(ctx context.Context, step *action.Step) error {
	in := read(step)
	if err := step.InputErr(); err != nil {
		return err
	}
	dir, build, err := place(ctx, step, in)
	if err != nil {
		return err
	}
	login, err := in.login(step)
	if err != nil {
		return err
	}
	defer os.Remove(login)
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	nosa := assembler.Host{
		Runner: tool.Host{}, Binary: filepath.Join(filepath.Dir(self), "nosa"), Workdir: dir,
		Log: func(line string) { step.Log("%s", line) },
	}
	var pushed reference
	for _, tag := range append([]string{build}, in.tags...) {
		at, err := push(ctx, step, nosa, login, "--index", "--build="+build, in.image+":"+tag)
		if err != nil {
			return err
		}
		if pushed == (reference{}) {
			pushed = at
		}
	}
	return errors.Join(
		step.Output("image", pushed.name),
		step.Output("digest", pushed.digest),
		step.Output("build-id", build),
		step.Summary(summary(in, build, pushed)),
	)
}

var (
	tagForm   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	imageForm = regexp.MustCompile(`^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+$`)
)

func read(s *action.Step) *inputs {
	in := &inputs{
		image: s.Input("image"), tags: s.List("tags"), username: s.Input("username"), password: s.Input("password"),
		handoff: s.Bool("handoff"), workDir: s.Input("work-dir"), build: s.Input("build"),
	}
	if in.password != "" {
		s.Mask(in.password)
	}
	if in.image == "" {
		in.image = "ghcr.io/" + strings.ToLower(os.Getenv("GITHUB_REPOSITORY"))
	}
	if !imageForm.MatchString(in.image) {
		s.Wrong("image", fmt.Sprintf("is %q", in.image), "write REGISTRY/NAME, small letters and no tag")
	}
	for _, tag := range in.tags {
		if !tagForm.MatchString(tag) {
			s.Wrong("tags", fmt.Sprintf("has %q", tag), "use letters, digits, '_', '.' and '-'")
		}
	}
	if in.username != "" && in.password == "" {
		s.Wrong("password", "is empty", "leave it to the job's own token, and give the job permissions: packages: write; or set username to nothing too")
	}
	if in.handoff && in.workDir != "" {
		s.Wrong("work-dir", "is given with handoff", "set handoff to false, or leave work-dir empty")
	}
	return in
}

// place finds the work directory with the build for all architectures.
func place(ctx context.Context, step *action.Step, in *inputs) (dir, build string, err error) {
	temp, err := step.Temp()
	if err != nil {
		return "", "", err
	}
	workspace, err := step.Workspace()
	if err != nil {
		return "", "", err
	}
	switch {
	case in.handoff:
		dirs, err := job.ReceiveBuilds(ctx, step)
		if err != nil {
			return "", "", err
		}
		return join(dirs, in.build)
	case in.workDir == "":
		dir = filepath.Join(temp, "nosa")
	case filepath.IsAbs(in.workDir):
		dir = in.workDir
	default:
		dir = filepath.Join(workspace, in.workDir)
	}
	return join([]string{dir}, in.build)
}

// login writes the file with the credentials, for this image alone.
func (in *inputs) login(step *action.Step) (path string, err error) {
	temp, err := step.Temp()
	if err != nil {
		return "", err
	}
	type entry struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	auths := map[string]entry{}
	if in.username != "" {
		auths[in.image] = entry{in.username, in.password}
	}
	data, err := json.Marshal(map[string]any{"auths": auths})
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(temp, "nosa-login-") // for its owner alone
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	return f.Name(), errors.Join(err, f.Close())
}

// reference is where an image is.
type reference struct{ name, digest string }

// pushLimit bounds the push of one tag. The stage repeats what fails itself, and a push
// that is begun anew leaves out layers that have arrived.
var pushLimit = retry.Limit{Tries: 2, Each: 30 * time.Minute}

// push runs the stage, which answers with NAME:TAG and NAME@DIGEST.
func push(ctx context.Context, step *action.Step, nosa assembler.Assembler, login string, args ...string) (reference, error) {
	var answer bytes.Buffer
	stage := assembler.Stage{Name: "push-container", Args: append([]string{"--authfile=" + login}, args...), Output: &answer}
	to := args[len(args)-1]
	end := step.Group("push " + to)
	err := retry.IfStalled(ctx, pushLimit, "the push to "+to, "try again later, or look at what the registry is doing", func(ctx context.Context) error {
		answer.Reset()
		_, err := nosa.Run(ctx, stage)
		return err
	})
	end()
	if err != nil {
		return reference{}, err
	}
	lines := strings.Fields(answer.String())
	if len(lines) != 2 {
		return reference{}, fmt.Errorf("nosa push-container said %q, expected NAME:TAG and NAME@DIGEST", answer.String())
	}
	_, digest, _ := strings.Cut(lines[1], "@")
	return reference{lines[0], digest}, nil
}

// join puts the builds of several work directories, each of one architecture, into
// the first of them.
func join(dirs []string, id string) (dir, build string, err error) {
	first, err := open(dirs[0])
	if err != nil {
		return "", "", err
	}
	for _, path := range dirs {
		d, err := open(path)
		if err != nil {
			return "", "", err
		}
		builds, err := d.Arches(id)
		if err != nil {
			return "", "", err
		}
		if build == "" {
			build = builds[0].ID
		}
		for _, b := range builds {
			if b.ID != build {
				return "", "", fmt.Errorf("the architectures are of different builds: %s, and %s for %s; build all of them with the same version", build, b.ID, b.Arch.RPM)
			}
			if path == dirs[0] {
				continue
			}
			to := filepath.Join(first.BuildsDir(), b.ID, b.Arch.RPM)
			if err := os.Rename(b.Dir, to); err != nil {
				return "", "", err
			}
			if err := first.UpdateIndex(func(x *workdir.Index) error { return x.Insert(b.ID, b.Arch.RPM) }); err != nil {
				return "", "", err
			}
		}
	}
	return dirs[0], build, nil
}

func open(path string) (*workdir.Dir, error) {
	host, err := arch.Host()
	if err != nil {
		return nil, err
	}
	return workdir.Open(path, host)
}

func summary(in *inputs, build string, at reference) string {
	return fmt.Sprintf("### Container of build %s\n\n`%s`, `%s@%s`\n\n```sh\nsudo bootc switch %s\n```\n",
		release.Text(build), at.name, in.image, at.digest, followed(in, at))
}

// followed is the name that systems are told of.
func followed(in *inputs, at reference) string {
	if len(in.tags) > 0 {
		return in.image + ":" + in.tags[0]
	}
	return at.name
}
