package handoff

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// loan is content that belongs to someone who waits to have its room back.
type loan struct {
	content  []byte
	giveBack func()
}

// checker holds content against the manifest while the next is written.
type checker struct {
	ctx   context.Context // ends with the first file that differs
	group *errgroup.Group
}

// ahead is how many pieces of a file wait to be digested.
const ahead = 4

func newChecker(ctx context.Context) checker {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers())
	return checker{ctx, group}
}

// file takes the content of a file, in order, until the channel is closed.
func (c checker) file(e Entry) chan<- loan {
	parts := make(chan loan, ahead)
	c.group.Go(func() error {
		sum := sha256.New()
		for p := range parts {
			sum.Write(p.content)
			p.giveBack()
		}
		if hex.EncodeToString(sum.Sum(nil)) != e.SHA256 {
			return fmt.Errorf("%s: the content is not what the manifest lists: %w", e.Path, errAltered)
		}
		return nil
	})
	return parts
}
