// Base is a step of build: it says which entry of the cache the packages that fetch
// sent refer to, so that actions/cache can restore it.
package main

import (
	"context"
	"os"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/job"
)

func main() { os.Exit(action.Main(run)) }

func run(ctx context.Context, step *action.Step) error {
	if err := step.InputErr(); err != nil {
		return err
	}
	key, err := job.BaseOfPackages(ctx, step)
	if err != nil {
		return err
	}
	return step.Output("key", key)
}
