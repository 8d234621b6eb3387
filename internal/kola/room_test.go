package kola

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"
)

func TestGuestsShareTheMemory(t *testing.T) {
	r := &room{guests: semaphore.NewWeighted(4), all: 3000}
	r.memory = semaphore.NewWeighted(r.all)
	leave, err := r.enter(t.Context(), 2000)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = r.enter(ctx, 1000)
	require.ErrorIs(t, err, context.DeadlineExceeded, "there is no room for a second")
	leave()
	leave, err = r.enter(t.Context(), 8000)
	require.NoError(t, err, "what needs more than there is gets all")
	leave()
}

func TestAvailableMemory(t *testing.T) {
	require.EqualValues(t, 2000, parseAvailable("MemTotal: 1 kB\nMemAvailable:    2048000 kB\n"))
	require.EqualValues(t, math.MaxInt64, parseAvailable("nonsense"))
	require.Positive(t, availableMemory())
}

func TestAGuestNeedsWhatItsTestsAskFor(t *testing.T) {
	g := group{members: []member{{Selected: Selected{Case: Case{Meta: Meta{MinMemoryMiB: 4096}}}}, {}}}
	require.Equal(t, 4096, Options{MemoryMiB: 1024}.memory(g))
	require.Equal(t, guestDefault, Options{}.memory(group{}))
}

func TestGuestsAtATimeShareTheProcessors(t *testing.T) {
	require.Equal(t, 0, cpus(0, 2))
	require.Equal(t, 0, cpus(1, 8))
	require.Equal(t, 1, cpus(Auto, 2))
	require.Equal(t, 1, cpus(4, 2))
	require.Equal(t, 2, cpus(4, 8))
}
