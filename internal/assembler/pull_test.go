package assembler_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/assembler"
	"github.com/nestos/nosa-actions/internal/assembler/container"
)

// stalled is an engine over whose connection nothing comes the first times.
type stalled struct {
	container.Engine
	stalls, pulls int
}

func (s *stalled) Pull(ctx context.Context, _ container.Reference) (container.Image, error) {
	if s.pulls++; s.pulls <= s.stalls {
		<-ctx.Done()
		return container.Image{}, context.Cause(ctx)
	}
	return container.Image{Config: container.Config{Entrypoint: []string{"/entrypoint"}}}, nil
}

func (s *stalled) Run(context.Context, container.RunSpec) error { return nil }

func TestAPullThatStandsStillIsBegunAnewAndGivenUp(t *testing.T) {
	work := t.TempDir()
	ref, err := container.ParseReference("registry.test/nosa/assembler:v1")
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		c := &assembler.Container{Engine: &stalled{stalls: 1}, Image: ref, Workdir: work}
		_, err := c.Run(t.Context(), assembler.Stage{Name: "fetch"})
		require.NoError(t, err)

		begin := time.Now()
		c = &assembler.Container{Engine: &stalled{stalls: 9}, Image: ref, Workdir: work}
		_, err = c.Run(t.Context(), assembler.Stage{Name: "fetch"})
		require.EqualError(t, err, "the pull of registry.test/nosa/assembler:v1 was given up: it was not done within 15m0s, tried 2 times; "+
			"try again later, take a registry that is nearer, or give the image as oci-archive:PATH")
		require.Equal(t, 30*time.Minute, time.Since(begin))
	})
}
