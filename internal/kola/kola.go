// Package kola tests an image by booting it: it finds the tests, gives each its
// own guest, watches console and journal, and says in the end which tests
// passed. Tests are built in or come with a config (tests/kola).
package kola

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/machine"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Options say what is tested, where, and how.
type Options struct {
	Tests          []Selected
	LenientConsole bool // findings on the console only warn

	Arch      arch.Arch
	Image     string // disk image; never changed
	Expect    Expect
	Firmware  machine.Firmware
	MemoryMiB int // at least; 0: the machine's default
	DiskGiB   int // at least; 0: the image's
	Offline   bool
	// Guest is what all guests have besides: how the disk is attached, a TPM,
	// directories of the host, more arguments for qemu.
	Guest machine.Options
	// ISO is a live image to boot instead of a disk image.
	ISO       string
	ISOAsDisk bool
	// Archive is the build's OCI archive, for tests that ask for it.
	Archive string

	Append        []machine.Config // merged into every test's config
	OutputDir     string           // must exist and be empty
	Parallel      int              // guests at a time, or Auto; 0: one
	ExtendPercent int              // lengthens the tests' time-outs
	// Rerun runs tests that failed once more, in the subdirectory rerun. Only if
	// each failed test has one of the tags RerunTags ("all": any) does the second
	// outcome count.
	Rerun     bool
	RerunTags []string
	// OnFailure is called with the way into the guest of a test that failed,
	// before the guest ends; nil: nobody is asked.
	OnFailure func(ctx context.Context, test string, s *machine.SSH)
	Terminal  io.Writer // receives one line per test; nil: nobody
}

// Verdict is how a test ended.
type Verdict string

const (
	Pass Verdict = "PASS"
	Fail Verdict = "FAIL"
	Skip Verdict = "SKIP"
	Warn Verdict = "WARN" // failed, but that only warns
)

// Result is the outcome of one test.
type Result struct {
	Name     string        `json:"name"`
	Subtests []Result      `json:"subtests"`
	Verdict  Verdict       `json:"result"`
	Duration time.Duration `json:"duration"` // nanoseconds
	Output   string        `json:"output"`   // why it did not pass, and warnings
	// Boot is the time from the start of the guest to the end of its start-up.
	Boot time.Duration `json:"boot,omitzero"`
	// SSH is the time from the start of the guest until somebody could log in.
	SSH time.Duration `json:"ssh,omitzero"`
	// Download is what an update took; of the test that updates.
	Download *Download `json:"download,omitempty"`
	// Rerun is how the test ended when it was run again after a failure.
	Rerun Verdict `json:"rerun,omitzero"`

	flaky bool // failed in a way that a second run may mend
}

const (
	startTime   = 5 * time.Minute  // from power-on to ssh
	settleTime  = 3 * time.Minute  // from ssh to the end of the start-up
	testTime    = 10 * time.Minute // default of an exclusive test
	sharedTime  = time.Minute      // default of one that shares its guest
	startTrials = 2                // a guest that does not start is tried again
)

// errStart marks what went wrong before the test itself began, by ssh not
// coming up in time.
var errStart = errors.New("the guest did not start")

// errTime is why a test that takes too long is given up.
var errTime = errors.New("the test did not end")

// Run runs the tests and writes each one's logs below OutputDir. Failed tests
// are results; an error means that testing itself was not possible.
func Run(ctx context.Context, r tool.Runner, log *progress.Log, o Options) (Report, error) {
	if o.Terminal == nil {
		o.Terminal = io.Discard
	}
	results, err := o.run(ctx, r, log)
	if err != nil {
		return Report{}, err
	}
	report := Report{Platform: o.Expect.Platform, Tests: results, Verdict: overall(results)}
	if failed := o.failed(results); o.Rerun && len(failed) > 0 {
		return o.runAgain(ctx, r, log, report, failed)
	}
	return report, nil
}

// run runs the tests, several guests at a time.
func (o Options) run(ctx context.Context, r tool.Runner, log *progress.Log) ([]Result, error) {
	guests, err := groups(o.Tests)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(guests))
	var terminal sync.Mutex
	work, ctx := errgroup.WithContext(ctx)
	room := newRoom(o.Parallel)
	if o.Guest.CPUs == 0 && len(guests) > 1 {
		o.Guest.CPUs = cpus(o.Parallel, runtime.NumCPU())
	}
	for i, g := range guests {
		work.Go(func() error {
			leave, err := room.enter(ctx, o.memory(g))
			if err != nil {
				return err
			}
			defer leave()
			step := log.Step("test %s", g.describe())
			defer step.Stop()
			res, err := o.runGroup(ctx, r, log, g)
			if err != nil {
				return fmt.Errorf("test %s: %w", g.name, err)
			}
			step.Done("%s", res.Verdict)
			results[i] = res
			terminal.Lock()
			defer terminal.Unlock()
			announce(o.Terminal, res)
			return nil
		})
	}
	return results, work.Wait()
}

// announce prints the outcome of a test with why it did not pass.
func announce(w io.Writer, res Result) { announceAt(w, "", res) }

func announceAt(w io.Writer, indent string, res Result) {
	fmt.Fprintf(w, "%s--- %s: %s (%.2fs)\n", indent, res.Verdict, res.Name, res.Duration.Seconds())
	for _, sub := range res.Subtests {
		announceAt(w, indent+"    ", sub)
	}
	indented(w, indent+"    ", res.Output)
}

func indented(w io.Writer, indent, text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintf(w, "%s%s\n", indent, strings.TrimRight(line, "\n"))
	}
}

// overall is FAIL if any test failed, else WARN if any warned, else PASS.
func overall(results []Result) Verdict {
	verdict := Pass
	for _, r := range results {
		switch {
		case r.Verdict == Fail:
			return Fail
		case r.Verdict == Warn:
			verdict = Warn
		}
	}
	return verdict
}

// worthAnother tells whether a guest did not come up for a reason that may lie in
// the machine that it runs on: it took too long, or the kernel found that its
// timer does not tick, which under emulation means a host that is too busy.
func worthAnother(err error) bool {
	fatal, ok := errors.AsType[*machine.FatalError](err)
	return errors.Is(err, errStart) || ok && strings.Contains(fatal.Detail, "IO-APIC + timer doesn't work")
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// runGroup runs the tests of one guest, and again if the guest did not start.
func (o Options) runGroup(ctx context.Context, r tool.Runner, log *progress.Log, g group) (Result, error) {
	begin := time.Now()
	var trial *trial
	var warnings []string
	for n := 1; ; n++ {
		trial = newTrial(o, g)
		err := trial.run(ctx, r, log)
		if ctx.Err() != nil {
			return Result{}, context.Cause(ctx)
		}
		if err != nil {
			return Result{}, err
		}
		if n == startTrials || !worthAnother(errors.Join(trial.failures...)) {
			break
		}
		warnings = append(warnings, "the guest was started again; the first time: "+firstLine(errors.Join(trial.failures...)))
	}
	trial.warnings = append(warnings, trial.warnings...)
	res := trial.result()
	res.Duration, res.Boot, res.SSH = time.Since(begin), trial.boot, trial.login
	return res, nil
}
