package oci

import (
	"context"
	"fmt"

	"github.com/nestos/nosa-actions/internal/ostree"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Archived is a commit that an oci-archive keeps.
type Archived struct {
	Build   string // id; the repository's ref for the commit
	Commit  string // checksum
	Archive string // path of the oci-archive
}

// Restore makes sure that a work directory's repository, which is a cache and
// may have been thrown away, holds the commit with all its content, under a ref
// that keeps it there. It reads the archive only if it must.
func Restore(ctx context.Context, r tool.Runner, log *progress.Log, repo *ostree.Repo, a Archived) error {
	if !repo.IsWhole(a.Commit) {
		step := log.Step("import the commit of build %s", a.Build)
		defer step.Stop()
		commit, err := Import(ctx, r, a.Archive, repo.Path)
		if err != nil {
			return fmt.Errorf("bring back the commit of build %s: %w", a.Build, err)
		}
		if commit != a.Commit {
			return fmt.Errorf("bring back the commit of build %s: the archive holds %s, the metadata names %s", a.Build, commit, a.Commit)
		}
		step.Done("")
	}
	return repo.SetRef(a.Build, a.Commit)
}
