package kola

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/machine"
	"github.com/nestos/nosa-actions/internal/machine/machinetest"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

func runOne(t *testing.T, ctx context.Context, image string, test Selected) (Report, string, error) {
	t.Helper()
	testkit.NeedTool(t, "qemu-system-x86_64", "qemu-img")
	out := t.TempDir()
	report, err := Run(ctx, tool.Host{}, nil, Options{
		Tests: []Selected{test}, Arch: arch.X86_64, Image: image, MemoryMiB: 256,
		Expect: Expect{Platform: "qemu"}, OutputDir: out,
	})
	return report, out, err
}

func TestAPanicFailsTheTestWithTheConsole(t *testing.T) {
	image := machinetest.Speaker(t, "[ 1.0] before\r\n[ 1.1] Kernel panic - not syncing: no init\r\n", false)
	cases, err := Builtin()
	require.NoError(t, err)

	report, out, err := runOne(t, t.Context(), image, Selected{Case: cases[0]})

	require.NoError(t, err)
	require.Equal(t, Fail, report.Verdict)
	require.Contains(t, report.Tests[0].Output, "waiting for ssh: kernel panic: no init")
	require.Contains(t, report.Tests[0].Output, "  | [ 1.0] before")
	require.Contains(t, report.Tests[0].Output, "found kernel panic (no init) on the console")
	kept, err := filepath.Glob(filepath.Join(out, "basic", "*", "*"))
	require.NoError(t, err)
	var names []string
	for _, path := range kept {
		names = append(names, filepath.Base(path))
	}
	require.Equal(t, "console.txt ignition.json journal-raw.txt.gz journal.txt", strings.Join(names, " "))
}

func TestAFailureOnTheDenylistOnlyWarns(t *testing.T) {
	image := machinetest.Speaker(t, "Kernel panic - not syncing: x\r\n", false)
	report, _, err := runOne(t, t.Context(), image, Selected{Case: Case{Name: "a"}, Warn: true})
	require.NoError(t, err)
	require.Equal(t, Warn, report.Verdict)
}

func TestAGuestThatPowersOffFailsTheTest(t *testing.T) {
	report, _, err := runOne(t, t.Context(), machinetest.Speaker(t, "bye\r\n", true), Selected{Case: Case{Name: "a"}})
	require.NoError(t, err)
	require.Equal(t, Fail, report.Verdict)
	require.Contains(t, report.Tests[0].Output, "waiting for ssh: the guest has powered off")
}

func TestCancelIsNoVerdict(t *testing.T) {
	stopped := errors.New("stopped by hand")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 2*time.Second, stopped)
	defer cancel()
	_, _, err := runOne(t, ctx, machinetest.Speaker(t, "up\r\n", false), Selected{Case: Case{Name: "a"}})
	require.ErrorIs(t, err, stopped)
}

func TestWhatCannotBeDoneIsNotPassedOver(t *testing.T) {
	exe := filepath.Join(t.TempDir(), "test.sh")
	require.NoError(t, os.WriteFile(exe, nil, 0o755))
	report, _, err := runOne(t, t.Context(), "unused", Selected{Case: Case{Name: "a", Executable: exe, Meta: Meta{InjectContainer: true}}})
	require.NoError(t, err)
	require.Equal(t, Fail, report.Verdict)
	require.Equal(t, "injectContainer: there is no OCI archive to inject; name a build that has one", report.Tests[0].Output)

	report, _, err = runOne(t, t.Context(), "unused", Selected{Case: Case{Name: "a", ConfigWarnings: []string{"unused key x"}}})
	require.NoError(t, err)
	require.Equal(t, "the config has warnings: unused key x", report.Tests[0].Output)
}

// A busy host makes the kernel of an emulated guest miss the ticks of its timer.
func TestABusyHostIsNoVerdict(t *testing.T) {
	image := machinetest.Speaker(t, "[    0.048000] Kernel panic - not syncing: IO-APIC + timer doesn't work!  Boot with apic=debug\r\n", false)
	report, out, err := runOne(t, t.Context(), image, Selected{Case: Case{Name: "a"}})
	require.NoError(t, err)
	require.Equal(t, Fail, report.Verdict, "twice is enough")
	require.Contains(t, report.Tests[0].Output, "warning: the guest was started again; the first time: waiting for ssh: kernel panic: IO-APIC")
	guests, err := filepath.Glob(filepath.Join(out, "a", "*-*"))
	require.NoError(t, err)
	require.Len(t, guests, 2)
}

func TestAGuestThatDoesNotComeBackLeavesTheConnection(t *testing.T) {
	testkit.NeedTool(t, "qemu-system-x86_64", "qemu-img")
	o := machine.Options{Arch: arch.X86_64, MemoryMiB: 256, CPUs: 1, Image: machinetest.Speaker(t, "Kernel panic - not syncing: x\r\n", false)}
	g, err := machine.Start(t.Context(), tool.Host{}, nil, o)
	require.NoError(t, err)
	defer g.Close()
	_, err = g.Connect(t.Context())
	require.ErrorContains(t, err, "kernel panic")
	old := &machine.SSH{}
	s := &session{guest: g, ssh: old}
	require.ErrorContains(t, s.reconnect(t.Context()), "kernel panic")
	require.Same(t, old, s.ssh)
}
