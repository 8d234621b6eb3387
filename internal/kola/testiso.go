package kola

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/machine"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Live are the artifacts of a live system and what is tested with them.
type Live struct {
	Arch   arch.Arch
	Commit string // of the build
	ISO    string
	// What the network card's firmware loads; empty: no tests of that.
	Kernel, Initramfs, Rootfs string
	Has4K                     bool // the metal4k image is on board

	OutputDir     string
	MemoryMiB     int // at least
	ExtendPercent int
	MoreKargs     string // of PXE
	AppendRootfs  bool   // PXE loads the root as an initrd where it could fetch it
	Terminal      io.Writer

	Runner tool.Runner
	Log    *progress.Log
}

// Scenario is one way to start, or to install from, a live system.
type Scenario struct {
	Name     string
	Firmware machine.Firmware
	how      func(ctx context.Context, l *liveRun) error
}

// scenarioTime is how long one may take.
const scenarioTime = 10 * time.Minute

// Scenarios are those that are possible here.
func (l Live) Scenarios() []Scenario {
	firmwares := []machine.Firmware{machine.UEFI}
	if l.Arch == arch.X86_64 {
		firmwares = []machine.Firmware{machine.BIOS, machine.UEFI}
	}
	var out []Scenario
	add := func(name string, how func(context.Context, *liveRun) error, firmwares ...machine.Firmware) {
		for _, f := range firmwares {
			out = append(out, Scenario{name + "." + string(f), f, how})
		}
	}
	add("iso-live-login", login, firmwares...)
	add("iso-as-disk", asDisk, firmwares...)
	add("iso-offline-install", install{}.run, firmwares...)
	add("iso-offline-install-fromram", install{kargs: "nestos.liveiso.fromram"}.run, machine.UEFI)
	add("iso-offline-install.mpath", install{multipath: true}.run, machine.UEFI)
	if l.Has4K {
		add("iso-offline-install.4k", install{sector4K: true}.run, machine.UEFI)
	}
	if l.Kernel != "" && l.Initramfs != "" && l.Rootfs != "" {
		add("pxe-offline-install", install{pxe: true}.run, firmwares...)
		add("pxe-online-install", install{pxe: true, online: true}.run, firmwares...)
	}
	slices.SortFunc(out, func(a, b Scenario) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Run runs scenarios one after the other and tells of each on the terminal. A
// failed one is a result; an error means that testing was not possible.
func (l Live) Run(ctx context.Context, scenarios []Scenario) (Report, error) {
	report := Report{Platform: "qemu-iso"}
	for _, s := range scenarios {
		step := l.Log.Step("test %s", s.Name)
		begin := time.Now()
		res := Result{Name: s.Name, Verdict: Pass}
		err := l.one(ctx, s)
		if ctx.Err() != nil {
			step.Stop()
			return report, context.Cause(ctx)
		}
		if err != nil {
			res.Verdict, res.Output = Fail, err.Error()
		}
		res.Duration = time.Since(begin)
		step.Done("%s", res.Verdict)
		fmt.Fprintf(l.Terminal, "%s: %s (%s)\n", res.Verdict, s.Name, res.Duration.Round(time.Second))
		indented(l.Terminal, "    ", res.Output)
		report.Tests = append(report.Tests, res)
	}
	report.Verdict = overall(report.Tests)
	return report, nil
}

func (l Live) one(ctx context.Context, s Scenario) error {
	dir := filepath.Join(l.OutputDir, s.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(l.OutputDir, ".scratch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	r := &liveRun{Live: l, scenario: s, dir: dir, scratch: scratch}
	if err := s.how(ctx, r); err != nil {
		return err
	}
	return r.examine()
}

// liveRun is one run of a scenario.
type liveRun struct {
	Live
	scenario Scenario
	dir      string   // for logs
	scratch  string   // for what goes afterwards
	said     []string // consoles' files
}

// consoles are the kernel arguments by which a system speaks on the serial port.
func (r *liveRun) consoles() string {
	serial := "ttyS0"
	if r.Arch == arch.AArch64 {
		serial = "ttyAMA0"
	}
	return "console=tty0 console=" + serial + ",115200n8"
}

// options are what all guests of a scenario have.
func (r *liveRun) options(stage string) machine.Options {
	console := filepath.Join(r.dir, "console"+stage+".txt")
	r.said = append(r.said, console)
	return machine.Options{
		Arch: r.Arch, Name: r.scenario.Name, Firmware: r.scenario.Firmware, MemoryMiB: max(r.MemoryMiB, 3072),
		ConsoleFile: console, Scratch: r.scratch, Bare: true, Offline: true,
	}
}

// limit is how long a guest may take.
func (r *liveRun) limit(g *machine.Guest) time.Duration {
	return g.Accel.Scale(scenarioTime + scenarioTime*time.Duration(r.ExtendPercent)/100)
}

// boot starts a guest, waits until one of its ports, by name, has said the word,
// and lets the guest end by itself if it is to.
func (r *liveRun) boot(ctx context.Context, o machine.Options, port, word string, toTheEnd bool) error {
	said := filepath.Join(r.dir, port+"."+word+".txt")
	o.Ports = append(o.Ports, machine.Port{Name: port, File: said})
	g, err := machine.Start(ctx, r.Runner, r.Log, o)
	if err != nil {
		return err
	}
	defer g.Close()
	limit := r.limit(g)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no %q within %s", word, limit))
	defer cancel()
	healthy, stop := g.WhileHealthy(ctx)
	defer stop()
	if err := waitForWord(healthy, said, word); err != nil {
		return g.Explain(err)
	}
	if !toTheEnd {
		return nil
	}
	select {
	case <-g.Ended():
		return g.Err()
	case <-healthy.Done():
		if errors.Is(context.Cause(healthy), machine.ErrEnded) {
			return nil
		}
		return g.Explain(context.Cause(healthy))
	}
}

// wordPause is the time between two looks at what a guest has said.
const wordPause = 200 * time.Millisecond

// waitForWord waits for a word in a file. What follows the word "FAIL" there is
// the error.
func waitForWord(ctx context.Context, path, word string) error {
	for {
		text, _ := os.ReadFile(path)
		said := machine.Plain(text)
		if _, why, failed := strings.Cut(said, "FAIL "); failed {
			return fmt.Errorf("the guest says: %s", strings.TrimSpace(why))
		}
		if strings.Contains(said, word) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wordPause):
		}
	}
}

// examine looks for badness on the consoles.
func (r *liveRun) examine() error {
	var faults []error
	for _, path := range r.said {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, b := range FindBadness(machine.Plain(text)) {
			if !b.Warn {
				faults = append(faults, fmt.Errorf("found %s in %s", b, filepath.Base(path)))
			}
		}
	}
	return errors.Join(faults...)
}
