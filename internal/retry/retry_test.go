package retry

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func stall(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

func TestWhatStandsStillIsBegunAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin, tries := time.Now(), 0
		err := IfStalled(t.Context(), Limit{Tries: 3, Each: time.Minute}, "the pull", "try later", func(ctx context.Context) error {
			if tries++; tries < 3 {
				return stall(ctx)
			}
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, 2*time.Minute, time.Since(begin))
	})
}

func TestTheLastTryIsTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		err := IfStalled(t.Context(), Limit{Tries: 2, Each: 15 * time.Minute}, "the pull of x", "try later", stall)
		require.EqualError(t, err, "the pull of x was given up: it was not done within 15m0s, tried 2 times; try later")
		require.Equal(t, 30*time.Minute, time.Since(begin))
	})
}

func TestWhatFailsIsNotTriedAgain(t *testing.T) {
	no := errors.New("no such image")
	tries := 0
	err := IfStalled(t.Context(), Limit{Tries: 3, Each: time.Hour}, "", "", func(context.Context) error { tries++; return no })
	require.ErrorIs(t, err, no)
	require.Equal(t, 1, tries)
}

func TestACancelEndsIt(t *testing.T) {
	stopped := errors.New("the job was cancelled")
	ctx, cancel := context.WithCancelCause(t.Context())
	tries := 0
	err := IfStalled(ctx, Limit{Tries: 3, Each: time.Hour}, "", "", func(ctx context.Context) error {
		tries++
		cancel(stopped)
		return stall(ctx)
	})
	require.ErrorIs(t, err, stopped)
	require.Equal(t, 1, tries)
}
