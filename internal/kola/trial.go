package kola

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/machine"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
)

// trial is one attempt at a test, with one guest.
type trial struct {
	o    Options
	test Selected
	dir  string // logs of this guest

	subtests []Result
	failures []error
	warnings []string
	boot     time.Duration
}

func newTrial(o Options, test Selected) *trial { return &trial{o: o, test: test} }

func (t *trial) failf(format string, args ...any) {
	t.failures = append(t.failures, fmt.Errorf(format, args...))
}

// run boots, tests and examines. Its error means that no guest could be started
// at all.
func (t *trial) run(ctx context.Context, r tool.Runner, log *progress.Log) error {
	if len(t.test.ConfigWarnings) > 0 && !t.test.Meta.AllowConfigWarnings {
		t.failf("the config has warnings: %s", strings.Join(t.test.ConfigWarnings, "; "))
		return nil
	}
	if unsupported := t.test.unsupported(); unsupported != "" {
		t.failf("%s is not possible yet", unsupported)
		return nil
	}
	testDir := filepath.Join(t.o.OutputDir, t.test.Name)
	if err := os.MkdirAll(testDir, 0o755); err != nil {
		return err
	}
	pending, err := os.MkdirTemp(testDir, ".guest-")
	if err != nil {
		return err
	}
	if err := os.Chmod(pending, 0o755); err != nil {
		return err
	}
	t.dir = pending
	options, err := t.machine()
	if err != nil {
		return err
	}
	begin := time.Now()
	guest, err := machine.Start(ctx, r, log, options)
	if err != nil {
		return err
	}
	defer guest.Close()
	t.dir = filepath.Join(testDir, guest.UUID)
	if err := os.Rename(pending, t.dir); err != nil { // open files follow
		return err
	}
	t.inGuest(ctx, guest, begin)
	guest.Close()
	return t.examine()
}

// unsupported names metadata that we cannot act on, because a test that runs
// without what it asks for proves nothing.
func (c Case) unsupported() string {
	switch {
	case c.Meta.KernelArgs != "":
		return "appendKernelArgs"
	case c.Meta.FirstbootKernelArgs != "":
		return "appendFirstbootKernelArgs"
	case c.Meta.InjectContainer:
		return "injectContainer"
	default:
		return ""
	}
}

// machine describes the test's guest.
func (t *trial) machine() (machine.Options, error) {
	meta := t.test.Meta
	o := machine.Options{
		Arch: t.o.Arch, Image: t.o.Image, Name: t.test.Name, Firmware: t.o.Firmware,
		MemoryMiB: max(t.o.MemoryMiB, meta.MinMemoryMiB), DiskGiB: max(t.o.DiskGiB, meta.MinDiskGiB),
		Disks: meta.Disks, NICs: meta.NICs, Offline: t.o.Offline,
		ConsoleFile: filepath.Join(t.dir, "console.txt"),
		JournalFile: filepath.Join(t.dir, "journal.jsonl"),
	}
	if t.test.Executable != "" {
		fragment, err := externalFragment(t.test.Case)
		if err != nil {
			return o, err
		}
		config, err := fragment.Config("the harness's config for " + t.test.Name)
		if err != nil {
			return o, err
		}
		o.Configs = append(o.Configs, config)
	}
	if len(t.test.Config.JSON) > 0 {
		o.Configs = append(o.Configs, t.test.Config)
	}
	o.Configs = append(o.Configs, t.o.Append...)
	merged, _, err := machine.Merge(o.Configs...)
	if err == nil && len(o.Configs) > 0 {
		err = os.WriteFile(filepath.Join(t.dir, "ignition.json"), merged, 0o644)
	}
	return o, err
}

// inGuest does all that needs the running guest.
func (t *trial) inGuest(ctx context.Context, guest *machine.Guest, begin time.Time) {
	s, err := t.start(ctx, guest)
	t.boot = time.Since(begin)
	if err != nil {
		t.failures = append(t.failures, guest.Explain(err))
		return
	}
	run := &session{guest: guest, ssh: s, accel: guest.Accel}
	defer func() { run.ssh.Close() }()
	healthy, stop := guest.WhileHealthy(ctx)
	defer stop()
	if err := t.base(healthy, run.ssh); err != nil {
		t.failures = append(t.failures, err)
	}
	limit := t.limit(guest.Accel)
	healthy, cancel := context.WithTimeoutCause(healthy, limit, fmt.Errorf("the test did not end within %s", limit))
	defer cancel()
	if t.test.Executable != "" {
		if err := run.run(healthy, t.test.Case); err != nil {
			t.failures = append(t.failures, t.explain(healthy, guest, err))
		}
	} else {
		t.check(healthy, guest, run.ssh)
	}
	if ctx.Err() == nil {
		t.collect(ctx, run)
	}
}

// explain shows the console where the guest itself may be the cause.
func (t *trial) explain(ctx context.Context, guest *machine.Guest, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return guest.Explain(err)
}

// limit is how long the test may take.
func (t *trial) limit(accel machine.Accel) time.Duration {
	limit := testTime
	if t.test.Meta.TimeoutMin > 0 {
		limit = time.Duration(t.test.Meta.TimeoutMin) * time.Minute
	}
	return accel.Scale(limit + limit*time.Duration(t.o.ExtendPercent)/100)
}

// start waits for ssh and the end of the start-up.
func (t *trial) start(ctx context.Context, guest *machine.Guest) (*machine.SSH, error) {
	limit := guest.Accel.Scale(startTime)
	wait, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w within %s", errStart, limit))
	defer cancel()
	s, err := guest.Connect(wait)
	if err != nil {
		return nil, err
	}
	limit = guest.Accel.Scale(settleTime)
	healthy, stop := guest.WhileHealthy(ctx)
	defer stop()
	wait, cancel = context.WithTimeoutCause(healthy, limit, fmt.Errorf("the start-up did not end within %s", limit))
	defer cancel()
	if err := waitForStartup(wait, s); err != nil && !t.test.HasTag("skip-base-checks") {
		s.Close()
		return nil, err
	}
	return s, nil
}

// base are the checks that every guest must pass.
func (t *trial) base(ctx context.Context, s *machine.SSH) error {
	if t.test.HasTag("skip-base-checks") {
		return nil
	}
	return failedUnits(ctx, s, stuckTime)
}

// check runs the checks of a built-in test; all of them, so that one run shows
// all that is wrong.
func (t *trial) check(ctx context.Context, guest *machine.Guest, s *machine.SSH) {
	for _, c := range t.test.Checks {
		begin := time.Now()
		out, err := s.Run(ctx, c.Command, nil)
		if err != nil {
			t.failures = append(t.failures, t.explain(ctx, guest, fmt.Errorf("%s: %w", c.Name, err)))
			return
		}
		res := Result{Name: t.test.Name + "/" + c.Name, Verdict: Pass}
		if err := c.Judge(t.o.Expect, out); err != nil {
			res.Verdict, res.Output = Fail, err.Error()
		}
		res.Duration = time.Since(begin)
		t.subtests = append(t.subtests, res)
	}
}
