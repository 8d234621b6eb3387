package kola

import (
	"context"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sync/semaphore"
)

// Auto as Options.Parallel runs as many guests at a time as there are CPUs and
// as the memory has room for.
const Auto = -1

// guestOverhead is what qemu takes beside the guest's memory, and guestDefault
// what a guest has that asks for nothing; MiB.
const (
	guestOverhead = 256
	guestDefault  = 2048
)

// room lends CPUs and memory to guests.
type room struct {
	guests, memory *semaphore.Weighted
	all            int64 // MiB of memory
}

func newRoom(parallel int) *room {
	r := &room{all: math.MaxInt64}
	if parallel == Auto {
		parallel = runtime.NumCPU()
		r.all = availableMemory()
	}
	r.guests = semaphore.NewWeighted(int64(max(1, parallel)))
	r.memory = semaphore.NewWeighted(r.all)
	return r
}

// cpus are those of each guest where several run at a time, as many as leave all of
// them running; 0: the machine's default. Guests that have more between them than
// there are wait for one another with locks held, which eats what they gain.
func cpus(parallel, have int) int {
	if parallel == Auto {
		parallel = have
	}
	if parallel <= 1 {
		return 0
	}
	return max(1, have/parallel)
}

// enter waits for the room that a guest needs. One that needs more than there is
// gets all of it.
func (r *room) enter(ctx context.Context, mib int) (leave func(), err error) {
	need := min(int64(mib+guestOverhead), r.all)
	if err := r.guests.Acquire(ctx, 1); err != nil {
		return nil, context.Cause(ctx)
	}
	if err := r.memory.Acquire(ctx, need); err != nil {
		r.guests.Release(1)
		return nil, context.Cause(ctx)
	}
	return func() { r.memory.Release(need); r.guests.Release(1) }, nil
}

// memory is what a group's guest needs, in MiB.
func (o Options) memory(g group) int {
	need := o.MemoryMiB
	for _, m := range g.members {
		need = max(need, m.Meta.MinMemoryMiB)
	}
	if need == 0 {
		need = guestDefault
	}
	return need
}

// availableMemory is what this machine, or the control group that we run in, can
// give without swapping, in MiB.
func availableMemory() int64 {
	free := int64(math.MaxInt64)
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		free = parseAvailable(string(text))
	}
	limit, err1 := readNumber("/sys/fs/cgroup/memory.max")
	used, err2 := readNumber("/sys/fs/cgroup/memory.current")
	if err1 == nil && err2 == nil {
		free = min(free, (limit-used)>>20)
	}
	return max(free, 1)
}

// parseAvailable reads MemAvailable of /proc/meminfo, given in KiB.
func parseAvailable(text string) int64 {
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) == 3 && words[0] == "MemAvailable:" {
			if kib, err := strconv.ParseInt(words[1], 10, 64); err == nil {
				return kib >> 10
			}
		}
	}
	return math.MaxInt64
}

func readNumber(path string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}
