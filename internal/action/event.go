package action

import (
	"encoding/json"
	"os"
)

// Event is what the runner tells of the event that started the run.
type Event struct {
	Name       string // such as push or pull_request
	Ref        string // full, such as refs/heads/main
	RefType    string // branch or tag
	Repository string // OWNER/NAME
	RunID      string
	Hosted     bool // a machine of GitHub's, made for this job alone

	// PullRequest is the number of the pull request, 0 if there is none or it is
	// not told.
	PullRequest int
	// Head is the repository that the code of a pull request, or of the run
	// before a workflow_run, comes from; "" if it is not told.
	Head string
	// Before is the event of the run before a workflow_run.
	Before string
	// Base is the branch that a pull request is for.
	Base string
}

// payload is what of an event's description in JSON is read.
type payload struct {
	Number int `json:"number"`
	Issue  struct {
		Number int `json:"number"`
	} `json:"issue"`
	PullRequest struct {
		Number int  `json:"number"`
		Head   side `json:"head"`
		Base   side `json:"base"`
	} `json:"pull_request"`
	WorkflowRun struct {
		Event          string     `json:"event"`
		HeadRepository repository `json:"head_repository"`
		PullRequests   []struct {
			Number int `json:"number"`
		} `json:"pull_requests"`
	} `json:"workflow_run"`
}

type side struct {
	Ref  string     `json:"ref"`
	Repo repository `json:"repo"`
}

type repository struct {
	FullName string `json:"full_name"`
}

// maxPayload bounds what is read of an event's description.
const maxPayload = 16 << 20

// Event reads the event of the run. What cannot be read stays empty, which nobody
// may take for something good.
func (s *Step) Event() Event {
	e := Event{
		Name: s.variable("GITHUB_EVENT_NAME"), Ref: s.variable("GITHUB_REF"), RefType: s.variable("GITHUB_REF_TYPE"),
		Repository: s.variable("GITHUB_REPOSITORY"), RunID: s.variable("GITHUB_RUN_ID"), Base: s.variable("GITHUB_BASE_REF"),
		Hosted: s.variable("RUNNER_ENVIRONMENT") == "github-hosted",
	}
	p := readPayload(s.variable("GITHUB_EVENT_PATH"))
	e.Head, e.Before = p.PullRequest.Head.Repo.FullName, p.WorkflowRun.Event
	if p.WorkflowRun.Event != "" {
		e.Head = p.WorkflowRun.HeadRepository.FullName
	}
	if e.Base == "" {
		e.Base = p.PullRequest.Base.Ref
	}
	e.PullRequest = max(p.PullRequest.Number, p.Issue.Number, p.Number)
	if list := p.WorkflowRun.PullRequests; len(list) == 1 {
		e.PullRequest = list[0].Number
	}
	return e
}

// Machine is the runner's architecture in GitHub's words, X64 or ARM64.
func (s *Step) Machine() string { return s.variable("RUNNER_ARCH") }

// API is the address of GitHub's API, "" where there is none.
func (s *Step) API() string { return s.variable("GITHUB_API_URL") }

func (s *Step) variable(name string) string {
	value, _ := s.lookup(name)
	return value
}

func readPayload(path string) payload {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxPayload {
		return payload{}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return payload{}
	}
	var p payload
	if json.Unmarshal(text, &p) != nil {
		return payload{}
	}
	return p
}
