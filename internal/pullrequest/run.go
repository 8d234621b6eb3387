package pullrequest

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/google/go-github/v60/github"
)

// Run is a finished workflow run, in GitHub's own words: the event of a workflow
// that runs on workflow_run.
type Run struct {
	ID         int64  `json:"id"`
	Name       string `json:"name"` // of the workflow
	Event      string `json:"event"`
	Conclusion string `json:"conclusion"`
	URL        string `json:"html_url"`
	HeadSHA    string `json:"head_sha"`
	HeadBranch string `json:"head_branch"`
	HeadRepo   struct {
		FullName string `json:"full_name"`
		Owner    struct {
			Login string `json:"login"`
		} `json:"owner"`
	} `json:"head_repository"`
}

// ReadEvent reads the run from the file of the event.
func ReadEvent(path string) (Run, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Run{}, fmt.Errorf("read the event: %w", err)
	}
	var event struct {
		Run *Run `json:"workflow_run"`
	}
	if err := json.Unmarshal(data, &event); err != nil {
		return Run{}, fmt.Errorf("read the event: %w", err)
	}
	if event.Run == nil || event.Run.ID == 0 || event.Run.HeadSHA == "" {
		return Run{}, errors.New("this workflow was not started by the end of another; run it on: workflow_run")
	}
	return *event.Run, nil
}

// Find returns the number of the open pull request whose newest commit the run was
// for, or 0. Nothing that the run left is asked: it could name any.
func (c *Client) Find(ctx context.Context, r Run) (int, error) {
	if r.HeadRepo.Owner.Login == "" || r.HeadBranch == "" {
		return 0, nil // the fork is gone
	}
	number := 0
	err := pages(10, func(o github.ListOptions) (*github.Response, error) {
		list, answer, err := c.gh.PullRequests.List(ctx, c.owner, c.repo, &github.PullRequestListOptions{
			State: "open", Head: r.HeadRepo.Owner.Login + ":" + r.HeadBranch, ListOptions: o,
		})
		for _, p := range list {
			head := p.GetHead()
			if head.GetSHA() == r.HeadSHA && head.GetRepo().GetFullName() == r.HeadRepo.FullName {
				number = p.GetNumber()
			}
		}
		return answer, err
	})
	return number, denied(err, "pull-requests: write")
}

// maxArchive bounds what is downloaded, and with it what there is to unpack.
const maxArchive = 8 << 20

// ErrNoArtifact tells that the run left no such artifact, or that it has expired.
var ErrNoArtifact = errors.New("the run left no such artifact")

// Artifact calls read with a file of an artifact of the run. The archive is kept in
// memory; read must set its own limit on what comes out of it.
func (c *Client) Artifact(ctx context.Context, r Run, name, file string, read func(io.Reader) error) error {
	id, err := c.newest(ctx, r, name)
	if err != nil {
		return err
	}
	address, _, err := c.gh.Actions.DownloadArtifact(ctx, c.owner, c.repo, id, 3)
	if err != nil {
		return denied(err, "actions: read")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return err
	}
	answer, err := c.plain.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("download artifact %s: %s", name, answer.Status)
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxArchive+1))
	switch {
	case err != nil:
		return err
	case len(data) > maxArchive:
		return fmt.Errorf("artifact %s has more than %d bytes", name, maxArchive)
	}
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return fmt.Errorf("artifact %s: %w", name, err)
	}
	for _, f := range archive.File {
		if f.Name != file {
			continue
		}
		in, err := f.Open()
		if err != nil {
			return fmt.Errorf("artifact %s: %w", name, err)
		}
		defer in.Close()
		if err := read(in); err != nil {
			return fmt.Errorf("artifact %s: %w", name, err)
		}
		return nil
	}
	return fmt.Errorf("artifact %s has no file %s", name, file)
}

// newest finds the artifact; a run that was repeated has several of one name.
func (c *Client) newest(ctx context.Context, r Run, name string) (int64, error) {
	var found *github.Artifact
	err := pages(10, func(o github.ListOptions) (*github.Response, error) {
		list, answer, err := c.gh.Actions.ListWorkflowRunArtifacts(ctx, c.owner, c.repo, r.ID, &o)
		if err != nil {
			return nil, err
		}
		for _, a := range list.Artifacts {
			if a.GetName() == name && (found == nil || a.GetID() > found.GetID()) {
				found = a
			}
		}
		return answer, nil
	})
	switch {
	case err != nil:
		return 0, denied(err, "actions: read")
	case found == nil || found.GetExpired():
		return 0, ErrNoArtifact
	case found.GetSizeInBytes() > maxArchive:
		return 0, fmt.Errorf("artifact %s has %d bytes; at most %d are read", name, found.GetSizeInBytes(), maxArchive)
	}
	return found.GetID(), nil
}
