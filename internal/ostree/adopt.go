package ostree

import (
	"context"
	"errors"
	"runtime"

	"github.com/nestos/nosa-actions/internal/format/ostreerepo"
)

// Adopt shares the files of a directory with the repository, so that commits of
// trees that have hard links to them need not read them. The directory must not
// change any more; its files get the time 0, which those of every OSTree
// deployment have.
func (r *Repo) Adopt(ctx context.Context, dir string) error {
	if _, err := prepareTree(dir); err != nil {
		return err
	}
	repo, err := ostreerepo.Open(r.Path)
	if err != nil {
		return err
	}
	w, err := repo.NewWriter(ctx)
	if err != nil {
		return err
	}
	return errors.Join(w.Adopt(ctx, dir, runtime.GOMAXPROCS(0)), w.Close())
}
