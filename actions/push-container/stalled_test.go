package main

import (
	"context"
	"fmt"
	"io"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/assembler"
	"github.com/nestos/nosa-actions/internal/diag"
)

// slow is an assembler whose stage stands still so many times, having said half of
// its answer.
type slow struct{ stalls, runs int }

func (s *slow) Run(ctx context.Context, stage assembler.Stage) ([]diag.Finding, error) {
	if s.runs++; s.runs <= s.stalls {
		fmt.Fprintln(stage.Output, "registry.test/os:1")
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	fmt.Fprintln(stage.Output, "registry.test/os:1\nregistry.test/os@sha256:1")
	return nil, nil
}

func TestAPushThatStandsStillIsBegunAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		step := action.New(func(string) (string, bool) { return "", false }, io.Discard)
		at, err := push(t.Context(), step, &slow{stalls: pushLimit.Tries - 1}, "login", "registry.test/os:1")
		require.NoError(t, err)
		require.Equal(t, reference{"registry.test/os:1", "sha256:1"}, at)

		_, err = push(t.Context(), step, &slow{stalls: pushLimit.Tries}, "login", "registry.test/os:1")
		require.EqualError(t, err, "the push to registry.test/os:1 was given up: it was not done within 30m0s, tried 2 times; "+
			"try again later, or look at what the registry is doing")
	})
}
