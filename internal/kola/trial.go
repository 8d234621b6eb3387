package kola

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/machine"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
)

// trial is one attempt at the tests of a group, with one guest.
type trial struct {
	o     Options
	group group
	dir   string // logs of this guest

	members  []Result // of the tests that were run
	failures []error  // of the guest
	warnings []string
	boot     time.Duration
	login    time.Duration // until ssh answered
	units    unitStates    // at the end of the start-up
	options  machine.Options
	download *Download
	chain    chan []byte // what systemd says that the start waited for
	flaky    bool        // a time-out or the like, which may go well another time
}

func newTrial(o Options, g group) *trial { return &trial{o: o, group: g} }

func (t *trial) failf(format string, args ...any) {
	t.failures = append(t.failures, fmt.Errorf(format, args...))
}

// run boots, tests and examines. Its error means that no guest could be started
// at all.
func (t *trial) run(ctx context.Context, r tool.Runner, log *progress.Log) error {
	if why := t.refused(); why != "" {
		t.failf("%s", why)
		return nil
	}
	testDir := filepath.Join(t.o.OutputDir, t.group.name)
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
	t.options = options
	guest, err := machine.Start(ctx, r, log, options)
	if err != nil {
		return err
	}
	defer guest.Close()
	t.dir = filepath.Join(testDir, guest.UUID)
	if err := os.Rename(pending, t.dir); err != nil { // open files follow
		return err
	}
	watch := watchBoot(filepath.Join(t.dir, "console.txt"), begin)
	t.inGuest(ctx, guest, begin)
	guest.Close()
	t.recordBoot(guest.Accel, watch.end())
	return t.examine()
}

// inGuest does all that needs the running guest.
func (t *trial) inGuest(ctx context.Context, guest *machine.Guest, begin time.Time) {
	s, err := t.start(ctx, guest)
	t.boot = time.Since(begin)
	if err != nil {
		t.flaky = true
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
	if err := t.inject(healthy, run); err != nil {
		t.failures = append(t.failures, guest.Explain(err))
		return
	}
	t.analyse(healthy, run.ssh)
	for _, m := range t.group.members {
		t.members = append(t.members, t.member(healthy, guest, run, m))
	}
	if ctx.Err() == nil {
		t.collect(ctx, run)
	}
	if t.o.OnFailure != nil && t.result().Verdict == Fail && healthy.Err() == nil {
		t.o.OnFailure(healthy, t.group.name, run.ssh)
	}
}

// inject copies the OCI archive to the guest if a test asks for it.
func (t *trial) inject(ctx context.Context, run *session) error {
	for _, m := range t.group.members {
		target := t.archivePath(m)
		if target == "" {
			continue
		}
		f, err := os.Open(t.o.Archive)
		if err != nil {
			return err
		}
		defer f.Close()
		out, err := run.ssh.Run(ctx, "cat > "+quote(target), f)
		if err == nil && out.Status != 0 {
			err = fmt.Errorf("exit status %d%s", out.Status, complaint(out))
		}
		if err != nil {
			return fmt.Errorf("copying %s to the guest: %w", filepath.Base(t.o.Archive), err)
		}
		return nil
	}
	return nil
}

// member runs one test in the guest that is up.
func (t *trial) member(ctx context.Context, guest *machine.Guest, run *session, m member) Result {
	begin := time.Now()
	limit := t.limit(guest.Accel, m)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w within %s", errTime, limit))
	defer cancel()
	res := Result{Name: m.Name, Verdict: Pass}
	var err error
	switch {
	case m.isScript():
		err = run.run(ctx, m)
	case m.native != nil:
		res.Subtests, err = m.native(ctx, t, run)
	default:
		res.Subtests, err = t.check(ctx, run.ssh, m)
	}
	if err != nil {
		res.Output = t.explain(ctx, guest, err).Error()
		t.flaky = t.flaky || errors.Is(context.Cause(ctx), errTime)
	}
	if err != nil || slices.ContainsFunc(res.Subtests, func(s Result) bool { return s.Verdict == Fail }) {
		res.Verdict = m.failure()
	}
	res.Duration = time.Since(begin)
	return res
}

// failure is what a failed test counts as.
func (m member) failure() Verdict {
	if m.Warn {
		return Warn
	}
	return Fail
}

// explain shows the console where the guest itself may be the cause.
func (t *trial) explain(ctx context.Context, guest *machine.Guest, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return guest.Explain(err)
}

// limit is how long a test may take.
func (t *trial) limit(accel machine.Accel, m member) time.Duration {
	limit := testTime
	if m.number > 0 && m.isScript() {
		limit = sharedTime
	}
	if m.Meta.TimeoutMin > 0 {
		limit = time.Duration(m.Meta.TimeoutMin) * time.Minute
	}
	return accel.Scale(limit + limit*time.Duration(t.o.ExtendPercent)/100)
}

// start waits for ssh and the end of the start-up.
func (t *trial) start(ctx context.Context, guest *machine.Guest) (*machine.SSH, error) {
	limit := guest.Accel.Scale(startTime)
	wait, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w within %s", errStart, limit))
	defer cancel()
	begin := time.Now()
	s, err := guest.Connect(wait)
	t.login = time.Since(begin)
	if err != nil {
		return nil, err
	}
	limit = guest.Accel.Scale(settleTime)
	healthy, stop := guest.WhileHealthy(ctx)
	defer stop()
	wait, cancel = context.WithTimeoutCause(healthy, limit, fmt.Errorf("the start-up did not end within %s", limit))
	defer cancel()
	if t.units, err = waitForStartup(wait, s); err != nil && !t.group.skipsBaseChecks() {
		s.Close()
		return nil, err
	}
	return s, nil
}

// base are the checks that every guest must pass.
func (t *trial) base(ctx context.Context, s *machine.SSH) error {
	if t.group.skipsBaseChecks() {
		return nil
	}
	return t.units.complain(ctx, s, stuckTime)
}

// check runs the checks of a built-in test; all of them, so that one run shows
// all that is wrong.
func (t *trial) check(ctx context.Context, s *machine.SSH, m member) ([]Result, error) {
	commands := make([]string, len(m.Checks))
	for i, c := range m.Checks {
		commands[i] = c.Command
	}
	answers, err := batch(ctx, s, commands...)
	var results []Result
	for i, a := range answers {
		c := m.Checks[i]
		res := Result{Name: m.Name + "/" + c.Name, Verdict: Pass, Duration: a.took}
		if err := c.Judge(t.o.Expect, a.Output); err != nil {
			res.Verdict, res.Output = Fail, err.Error()
		}
		results = append(results, res)
	}
	if err != nil && len(answers) < len(m.Checks) {
		err = fmt.Errorf("%s: %w", m.Checks[len(answers)].Name, err)
	}
	return results, err
}

// result is the outcome of the group. What is wrong with a guest counts against
// the group, and for a test that has it to itself against that test.
func (t *trial) result() Result {
	res := Result{Name: t.group.name, Verdict: Pass, Subtests: t.members}
	var output []string
	if len(t.group.members) == 1 && len(t.members) == 1 {
		only := t.members[0]
		res.Verdict, res.Subtests = only.Verdict, only.Subtests
		if only.Output != "" {
			output = append(output, only.Output)
		}
	}
	if verdict := overall(t.members); verdict != Pass {
		res.Verdict = verdict
	}
	for _, f := range t.failures {
		output = append(output, f.Error())
		if res.Verdict == Pass || res.Verdict == Warn {
			res.Verdict = t.guestFailure()
		}
	}
	for _, w := range t.warnings {
		output = append(output, "warning: "+w)
	}
	res.Output = strings.Join(output, "\n")
	res.flaky, res.Download = t.flaky, t.download
	return res
}

// guestFailure only warns if every test of the guest does.
func (t *trial) guestFailure() Verdict {
	for _, m := range t.group.members {
		if !m.Warn {
			return Fail
		}
	}
	return Warn
}
