// Propose opens or updates a pull request with lockfiles that another job has made
// anew, and tells what changes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/pullrequest"
	"github.com/nestos/nosa-actions/internal/report"
)

// incoming is where the lockfiles of the jobs before lie, in the runner's temporary
// directory; action.yml knows it too.
const incoming = "nosa-lockfiles"

// maxLockfile bounds a lockfile; those of large systems have some hundred kilobytes.
const maxLockfile = 16 << 20

// maxBody leaves room in the 65,536 characters of a pull request.
const maxBody = 60000

func main() { os.Exit(action.MainAsUser(run)) }

// lockfileName is the only kind of file that is taken from another job.
var lockfileName = regexp.MustCompile(`^manifest-lock\.[a-z0-9_]+\.json$`)

// branchName allows what needs no quoting anywhere.
var branchName = regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z._/-]{0,199}$`)

type inputs struct{ token, config, base, branch, title string }

func run(ctx context.Context, step *action.Step) error {
	in := inputs{
		token: step.Required("token"), config: step.Required("config"), base: step.Required("base"),
		branch: step.Required("branch"), title: step.Required("title"),
	}
	if in.config != "" && !filepath.IsLocal(in.config) {
		step.Wrong("config", fmt.Sprintf("is %q", in.config), "write a directory of the repository")
	}
	if in.branch != "" && !branchName.MatchString(in.branch) {
		step.Wrong("branch", fmt.Sprintf("is %q", in.branch), "write letters, digits, dots, dashes, slashes and underscores")
	}
	if err := step.InputErr(); err != nil {
		return err
	}
	files, body, err := collect(step, in.config)
	if err != nil {
		return err
	}
	api, err := pullrequest.New(pullrequest.Config{BaseURL: os.Getenv("GITHUB_API_URL"), Token: in.token, Repository: os.Getenv("GITHUB_REPOSITORY")})
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return withdraw(ctx, step, api, in)
	}
	made, err := api.Propose(ctx, pullrequest.Proposal{
		Base: in.base, Commit: os.Getenv("GITHUB_SHA"), Branch: in.branch, Title: in.title, Body: body, Files: files,
	})
	if err != nil {
		return err
	}
	what := "pull request %d is as it was"
	switch {
	case made.New:
		what = "opened pull request %d"
	case made.Pushed:
		what = "updated pull request %d"
	}
	step.Log(what, made.Number)
	return errors.Join(step.Output("changed", "true"), step.Output("url", made.URL), step.Summary("### Lockfiles\n\n"+body))
}

// withdraw closes what was proposed before: it would change packages back, or nothing.
func withdraw(ctx context.Context, step *action.Step, api *pullrequest.Client, in inputs) error {
	step.Log("no lockfile changed; nothing to propose")
	told := "### Lockfiles\n\nNothing changed.\n"
	number, err := api.Withdraw(ctx, in.base, in.branch,
		"The lockfiles of "+report.Text(in.base)+" name what the repositories have now, so there is nothing left to change.")
	if err != nil {
		return err
	}
	if number != 0 {
		step.Log("closed pull request %d", number)
		told += fmt.Sprintf("\nPull request %d was closed.\n", number)
	}
	return errors.Join(step.Output("changed", "false"), step.Output("url", ""), step.Summary(told))
}

// collect reads the new lockfiles and compares them with those of the checkout. It
// gives those that differ in packages, by their path in the repository, and the text
// for the pull request.
func collect(step *action.Step, config string) (map[string][]byte, string, error) {
	temp, err := step.Temp()
	if err != nil {
		return nil, "", err
	}
	workspace, err := step.Workspace()
	if err != nil {
		return nil, "", err
	}
	list, err := os.ReadDir(filepath.Join(temp, incoming))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, "", err
	}
	files, parts := map[string][]byte{}, map[string]string{}
	for _, e := range list {
		if !lockfileName.MatchString(e.Name()) || !e.Type().IsRegular() {
			return nil, "", fmt.Errorf("%q is no lockfile; expected manifest-lock.ARCH.json", e.Name())
		}
		now, err := read(filepath.Join(temp, incoming, e.Name()))
		if err != nil {
			return nil, "", err
		}
		before, err := read(filepath.Join(workspace, config, e.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, "", err
		}
		diff, err := report.DiffLocks(before, now)
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", e.Name(), err)
		}
		if diff.Changed == 0 {
			step.Log("%s: no package changed", e.Name())
			continue
		}
		step.Log("%s: %d packages changed", e.Name(), diff.Changed)
		name := path.Join(filepath.ToSlash(config), e.Name())
		files[name], parts[name] = now, diff.Markdown(name)
	}
	if len(list) == 0 {
		return nil, "", errors.New("no lockfile is here; a job that this one needs must run actions/fetch with update-lockfile and upload it as nosa-lockfile-ARCH")
	}
	var body strings.Builder
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if body.Len()+len(parts[name]) > maxBody {
			body.WriteString("\n*The rest is in the change itself.*\n")
			break
		}
		body.WriteString(parts[name] + "\n")
	}
	return files, body.String(), nil
}

func read(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxLockfile {
		return nil, fmt.Errorf("%s has %d bytes; at most %d are read", filepath.Base(file), info.Size(), maxLockfile)
	}
	return os.ReadFile(file)
}
