package kola

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/machine"
)

// cut is one power cut: the update begins in a guest that was saved right before
// it, and the guest is killed after a while.
type cut struct {
	number int
	after  time.Duration // since the update began
}

// cuts are moments spread over the update and a little beyond, each at random in
// a part of its own.
func cuts(n int, took time.Duration, seed uint64) []cut {
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // moments, not secrets
	span := took + took/10
	out := make([]cut, n)
	for i := range out {
		part := span / time.Duration(n)
		out[i] = cut{i + 1, time.Duration(i)*part + time.Duration(random.Int64N(int64(part)+1))}
	}
	return out
}

func (r *upgrade) savedPath() string { return filepath.Join(r.trial.dir, "saved.qcow2") }

// powerCuts cuts the power again and again. Each time the disk must be sound and
// the guest start with the old commit or the new one.
func (r *upgrade) powerCuts(ctx context.Context) (text string, fault error) {
	defer os.Remove(r.savedPath())
	// The guest that was updated only waits, which under emulation takes time too.
	if err := r.session.guest.Pause(ctx); err != nil {
		return "", err
	}
	defer func() { fault = errors.Join(fault, r.session.guest.Resume(context.WithoutCancel(ctx))) }()
	outcomes := make([]string, r.Cuts)
	faults := make([]error, r.Cuts)
	work, ctx := errgroup.WithContext(ctx)
	room := newRoom(r.trial.o.Parallel)
	for i, c := range cuts(r.Cuts, r.took, r.Seed) {
		work.Go(func() error {
			leave, err := room.enter(ctx, r.trial.o.memory(r.trial.group))
			if err != nil {
				return err
			}
			defer leave()
			outcomes[i], faults[i] = r.cut(ctx, c)
			return context.Cause(ctx)
		})
	}
	err := work.Wait()
	counts := map[string]int{}
	for i, fault := range faults {
		if fault != nil {
			faults[i] = fmt.Errorf("power cut %d: %w", i+1, fault)
			continue
		}
		counts[outcomes[i]]++
	}
	text = fmt.Sprintf("seed %d: %d power cuts, %d times the old commit started, %d times the new one",
		r.Seed, r.Cuts, counts[r.From], counts[r.To])
	return text, errors.Join(append(faults, err)...)
}

// cut cuts the power once and returns the commit that starts afterwards.
func (r *upgrade) cut(ctx context.Context, c cut) (commit string, err error) {
	dir := filepath.Join(r.trial.dir, fmt.Sprintf("power-cut-%02d", c.number))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	crashed, err := again(ctx, func() (machine.Saved, error) { return r.crash(ctx, dir, c) })
	if err != nil {
		return "", fmt.Errorf("%.1fs into the update: %w", c.after.Seconds(), err)
	}
	defer os.Remove(crashed.Disk)
	entries, err := machine.CheckBoot(ctx, r.Runner, crashed.Disk, dir)
	if err != nil {
		return "", fmt.Errorf("%.1fs into the update: %w", c.after.Seconds(), err)
	}
	commit, err = again(ctx, func() (string, error) { return r.start(ctx, dir, crashed) })
	if err != nil {
		return "", fmt.Errorf("%.1fs into the update, %d boot entries: %w", c.after.Seconds(), entries, err)
	}
	return commit, nil
}

// again tries once more what did not work. Each guest of a cut has a copy of the disk
// of its own: one that is broken does not start the second time either, but a machine
// that was too busy may have been the cause of the first.
func again[T any](ctx context.Context, do func() (T, error)) (T, error) {
	value, err := do()
	for n := 1; err != nil && ctx.Err() == nil && n < startTrials; n++ {
		value, err = do()
	}
	return value, err
}

// guest starts a guest like the test's own from a saved one.
func (r *upgrade) guest(ctx context.Context, dir, name string, from *machine.Saved) (*machine.Guest, error) {
	o := r.trial.options
	o.Saved, o.Name = from, r.trial.options.Name+"-"+name
	o.ConsoleFile, o.JournalFile = filepath.Join(dir, "console-"+name+".txt"), filepath.Join(dir, "journal-"+name+".jsonl")
	return machine.Start(ctx, r.Runner, r.Log, o)
}

// crash lets the saved guest begin its update and kills it.
func (r *upgrade) crash(ctx context.Context, dir string, c cut) (machine.Saved, error) {
	g, err := r.guest(ctx, dir, "cut", &r.saved)
	if err != nil {
		return machine.Saved{}, err
	}
	defer g.Close()
	// The update goes on for as long as the cut is to wait, however slow.
	limit := g.Accel.Scale(startTime) + c.after
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errors.New("the saved guest does not go on"))
	defer cancel()
	s, err := g.Connect(ctx)
	if err != nil {
		return machine.Saved{}, g.Explain(err)
	}
	defer s.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := asRoot(ctx, s, r.upgradeScript())
		ended <- err
	}()
	timer := time.NewTimer(c.after)
	defer timer.Stop()
	select {
	case <-timer.C:
	case err := <-ended: // all that was to come has come
		if err != nil {
			return machine.Saved{}, g.Explain(err)
		}
	case <-ctx.Done():
		return machine.Saved{}, context.Cause(ctx)
	}
	return g.Crash(filepath.Join(dir, "disk.qcow2"))
}

// start starts a guest from the disk and returns the commit that it runs.
func (r *upgrade) start(ctx context.Context, dir string, crashed machine.Saved) (string, error) {
	g, err := r.guest(ctx, dir, "after", &crashed)
	if err != nil {
		return "", err
	}
	defer g.Close()
	limit := g.Accel.Scale(startTime + settleTime)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w within %s", errStart, limit))
	defer cancel()
	s, err := g.Connect(ctx)
	if err != nil {
		return "", g.Explain(err)
	}
	defer s.Close()
	units, err := waitForStartup(ctx, s)
	if err == nil {
		err = units.complain(ctx, s, stuckTime)
	}
	if err != nil {
		return "", g.Explain(err)
	}
	answers, err := batch(ctx, s, deployment)
	if err != nil {
		return "", g.Explain(err)
	}
	commit := runningCommit(answers[0])
	if !slices.Contains([]string{r.From, r.To}, commit) || commit == "" {
		return "", fmt.Errorf("it started something else: %q", answers[0].Stdout)
	}
	return commit, nil
}
