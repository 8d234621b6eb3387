package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Accel says how guests run.
type Accel struct {
	KVM    bool   // else by emulation (TCG)
	Reason string // why not by KVM
	// Slow is how many times longer than on a quiet machine of today a trial
	// guest took under emulation; 0: not measured.
	Slow float64
}

// emulationFactor is how much longer than under KVM anything may take under
// emulation.
const emulationFactor = 3

// maxSlow bounds what a slow machine may stretch time-outs by: a guest that hangs
// has to be given up some day.
const maxSlow = 5

// Scale stretches a time-out that is meant for KVM.
func (a Accel) Scale(d time.Duration) time.Duration {
	if a.KVM {
		return d
	}
	return time.Duration(float64(emulationFactor*d) * min(max(a.Slow, 1), maxSlow))
}

// String is "KVM" or "TCG (REASON)".
func (a Accel) String() string {
	if a.KVM {
		return "KVM"
	}
	return fmt.Sprintf("TCG (%s)", a.Reason)
}

var probed struct {
	sync.Mutex
	accel map[arch.Arch]Accel
}

// Accelerator tells whether guests of an architecture can run under KVM here.
// A device node proves nothing: with nested virtualisation it may open and
// create a machine, and a guest still dies at its first vector instruction. So
// a tiny guest is started; the answer holds for the life of the process. That
// guests run by emulation is noted in the log, once.
func Accelerator(ctx context.Context, r tool.Runner, log *progress.Log, a arch.Arch) (Accel, error) {
	probed.Lock()
	defer probed.Unlock()
	if accel, ok := probed.accel[a]; ok {
		return accel, nil
	}
	accel := Accel{KVM: true}
	var slow float64
	measured := make(chan struct{})
	trial, stop := context.WithCancel(ctx)
	go func() {
		defer close(measured)
		slow = measure(trial, r, a)
	}()
	defer func() { // under KVM nobody waits for the trial; it leaves nothing behind all the same
		stop()
		<-measured
	}()
	if err := probe(ctx, r, a, "/dev/kvm"); err != nil {
		if ctx.Err() != nil {
			return Accel{}, context.Cause(ctx)
		}
		<-measured
		accel = Accel{Reason: err.Error(), Slow: slow}
		log.Notef("guests run by emulation, which is slow, because KVM does not work: %s", accel.Reason)
	}
	if probed.accel == nil {
		probed.accel = map[arch.Arch]Accel{}
	}
	probed.accel[a] = accel
	return accel, nil
}

// trialTime is how long the trial guest takes under emulation on a quiet machine.
const trialTime = time.Second

// measure runs the trial guest under emulation and returns how many times longer
// than usual it took, or 0 if it does not run.
func measure(ctx context.Context, r tool.Runner, a arch.Arch) float64 {
	dir, err := os.MkdirTemp("", "nosa-trial-")
	if err != nil {
		return 0
	}
	defer os.RemoveAll(dir)
	begin := time.Now()
	if err := runProbe(ctx, r, a, filepath.Join(dir, "trial.img"), "tcg", "max"); err != nil {
		return 0
	}
	return float64(time.Since(begin)) / float64(trialTime)
}

// probeARM asks PSCI for SYSTEM_OFF.
var probeARM = []byte{
	0x00, 0x80, 0xb0, 0x52, // movz w0, #0x8400, lsl #16
	0x00, 0x01, 0x80, 0x72, // movk w0, #8
	0x02, 0x00, 0x00, 0xd4, // hvc #0
	0x00, 0x00, 0x00, 0x14, // b .
}

// probeTime is how long the probe guest may run; a good one ends in a second.
const probeTime = 10 * time.Second

// probePassed is the exit status of the x86 probe guest, by isa-debug-exit
// (word << 1 | 1) for the word 0x31.
const probePassed = 0x31<<1 | 1

// probe starts the tiny guest and returns why KVM cannot be used.
func probe(ctx context.Context, r tool.Runner, a arch.Arch, device string) error {
	if host, err := arch.Host(); err != nil || host != a {
		return fmt.Errorf("guest is %s", a)
	}
	node, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	node.Close()
	dir, err := os.MkdirTemp("", "nosa-probe-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return runProbe(ctx, r, a, filepath.Join(dir, "probe.img"), "kvm", "host")
}

func runProbe(ctx context.Context, r tool.Runner, a arch.Arch, image, accel, cpu string) error {
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-accel", accel, "-cpu", cpu, "-m", "64",
	}
	content := bootSector(probeX86)
	if a == arch.AArch64 {
		content = probeARM
		args = append(args, "-machine", "virt", "-kernel", image)
	} else {
		args = append(args, "-machine", "q35",
			"-device", "isa-debug-exit,iobase=0xf4,iosize=4",
			"-drive", "if=none,id=probe,format=raw,readonly=on,file="+escapeOption(image),
			"-device", "virtio-blk-pci,drive=probe")
	}
	if err := os.WriteFile(image, content, 0o600); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, probeTime, errors.New("a trial guest hangs"))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	// After an internal error qemu keeps the stopped machine for a debugger.
	watch := &trigger{word: []byte("KVM internal error"), fire: func() {
		stop(errors.New("a trial guest ends in a KVM internal error"))
	}}
	_, err := r.Run(ctx, tool.Cmd{Name: "qemu-system-" + a.QEMU, Args: args, Stderr: watch})
	failed, ok := errors.AsType[*tool.Error](err)
	switch {
	case ok && failed.ExitCode() == probePassed && a == arch.X86_64:
		return nil
	case ok:
		first, _, _ := strings.Cut(strings.TrimSpace(failed.Stderr), "\n")
		return fmt.Errorf("a trial guest does not start: %s", first)
	case err == nil && a == arch.X86_64:
		return errors.New("a trial guest ends early")
	default:
		return err
	}
}

// trigger calls fire when word has been written to it.
type trigger struct {
	word []byte
	fire func()
	rest []byte
}

func (t *trigger) Write(p []byte) (int, error) {
	t.rest = append(t.rest, p...)
	if bytes.Contains(t.rest, t.word) {
		t.fire()
	}
	if over := len(t.rest) - len(t.word); over > 0 {
		t.rest = append(t.rest[:0], t.rest[over:]...)
	}
	return len(p), nil
}
