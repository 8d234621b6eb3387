// Comment puts the report of a workflow run on its pull request. It runs in a
// workflow of its own, after the run and with the right to write, and takes nothing
// from the run but the report's text.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/plan"
	"github.com/nestos/nosa-actions/internal/pullrequest"
	"github.com/nestos/nosa-actions/internal/report"
)

func main() { os.Exit(action.MainAsUser(run)) }

// title is what may stand in a hidden mark and above the report.
var title = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z ._/-]{0,63}$`)

func run(ctx context.Context, step *action.Step) error {
	token, author, name := step.Required("token"), step.Required("author"), step.Required("title")
	if name != "" && !title.MatchString(name) {
		step.Wrong("title", fmt.Sprintf("is %q", name), "write at most 64 letters, digits, blanks, dots, dashes, slashes and underscores")
	}
	if err := step.InputErr(); err != nil {
		return err
	}
	end, err := pullrequest.ReadEvent(os.Getenv("GITHUB_EVENT_PATH"))
	if err != nil {
		return err
	}
	if end.Event != "pull_request" {
		step.Log("the run was for %s, not for a pull request; there is nothing to comment on", end.Event)
		return step.Output("url", "")
	}
	api, err := pullrequest.New(pullrequest.Config{BaseURL: os.Getenv("GITHUB_API_URL"), Token: token, Repository: os.Getenv("GITHUB_REPOSITORY")})
	if err != nil {
		return err
	}
	number, err := api.Find(ctx, end)
	if err != nil {
		return fmt.Errorf("find the pull request: %w", err)
	}
	if number == 0 {
		step.Log("no open pull request ends with commit %s; it was closed, or has newer commits", end.HeadSHA)
		return step.Output("url", "")
	}
	body, err := body(ctx, step, api, end, name)
	if err != nil {
		return err
	}
	url, err := api.Comment(ctx, number, author, fmt.Sprintf("<!-- nosa-report: %s -->", name), body)
	if err != nil {
		return fmt.Errorf("comment on pull request %d: %w", number, err)
	}
	step.Log("commented on pull request %d", number)
	return step.Output("url", url)
}

// body is the comment: what GitHub knows of the run, then what the run says. A
// report that cannot be read is said to be so.
func body(ctx context.Context, step *action.Step, api *pullrequest.Client, end pullrequest.Run, name string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s: %s\n\n[Run %d](%s) of commit <code>%s</code> ended with **%s**.\n\n",
		report.Text(name), mark(end.Conclusion), end.ID, address(end), report.Text(end.HeadSHA[:min(12, len(end.HeadSHA))]), report.Text(end.Conclusion))
	var r *report.Run
	err := api.Artifact(ctx, end, "nosa-report", "report.json", func(in io.Reader) (err error) {
		r, err = report.ReadRun(in)
		return err
	})
	switch {
	case errors.Is(err, pullrequest.ErrNoArtifact):
		b.WriteString("It came to no report.\n")
	case ctx.Err() != nil:
		return "", err
	case err != nil:
		step.Notice("the report cannot be read: " + err.Error())
		b.WriteString("Its report cannot be read.\n")
	default:
		// Characters are what is counted, and bytes, of which there are more, the safe
		// measure.
		b.WriteString(r.Markdown(plan.MaxComment - b.Len() - 1024))
	}
	return b.String(), nil
}

func mark(conclusion string) string {
	switch conclusion {
	case "success":
		return "✅"
	case "failure":
		return "❌"
	}
	return "⏹"
}

// address is the page of the run, on this server and of this repository.
func address(end pullrequest.Run) string {
	return fmt.Sprintf("%s/%s/actions/runs/%d", os.Getenv("GITHUB_SERVER_URL"), os.Getenv("GITHUB_REPOSITORY"), end.ID)
}
