package machine

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/machine/machinetest"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// boot starts a guest and checks after the test that nothing of it is left.
func boot(t *testing.T, ctx context.Context, o Options) *Guest {
	t.Helper()
	testkit.NeedTool(t, "qemu-system-x86_64", "qemu-img")
	o.Arch, o.Scratch, o.MemoryMiB, o.CPUs = arch.X86_64, t.TempDir(), 512, 1
	if o.ConsoleFile == "" {
		o.ConsoleFile = filepath.Join(t.TempDir(), "console.txt")
	}
	g, err := Start(ctx, tool.Host{}, nil, o)
	require.NoError(t, err)
	t.Cleanup(func() {
		g.Close()
		left, err := os.ReadDir(o.Scratch)
		require.NoError(t, err)
		require.Empty(t, left)
	})
	return g
}

func TestGuestSpeaksAndPowersOff(t *testing.T) {
	console := filepath.Join(t.TempDir(), "console.txt")
	image := machinetest.Speaker(t, "hello from the guest\r\n", true)
	before, err := os.ReadFile(image)
	require.NoError(t, err)

	g := boot(t, t.Context(), Options{Image: image, ConsoleFile: console})

	select {
	case <-g.Ended():
	case <-time.After(20 * time.Second):
		t.Fatal("the guest did not power off")
	}
	require.NoError(t, g.Err())
	require.NotZero(t, g.SSHPort)
	said, err := os.ReadFile(console)
	require.NoError(t, err)
	require.Contains(t, string(said), "hello from the guest")
	after, err := os.ReadFile(image)
	require.NoError(t, err)
	require.True(t, bytes.Equal(before, after), "the image was changed")
}

func TestPanicEndsTheWaitForSSH(t *testing.T) {
	text := "[    1.5] something before\r\n[    1.7] Kernel panic - not syncing: Attempted to kill init!\r\n[    1.8] CPU: 0 PID: 1\r\n"
	g := boot(t, t.Context(), Options{Image: machinetest.Speaker(t, text, false)})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	_, err := g.Connect(ctx)

	fatal, ok := errors.AsType[*FatalError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, FatalError{What: "kernel panic", Detail: "Attempted to kill init!"}, *fatal)
	require.Contains(t, g.Explain(err).Error(), "  | [    1.8] CPU: 0 PID: 1", "the words after the panic are shown too")
}

func TestSilentGuestTimesOut(t *testing.T) {
	g := boot(t, t.Context(), Options{Image: machinetest.Speaker(t, "up\r\n", false)})
	ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, errors.New("gave up after 3s"))
	defer cancel()

	_, err := g.Connect(ctx)

	require.ErrorContains(t, err, "waiting for ssh: gave up after 3s")
	require.ErrorContains(t, g.PowerOff(t.Context(), time.Second), "did not power off within 1s")
}

func TestCancelKillsTheGuest(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	g := boot(t, ctx, Options{Image: machinetest.Speaker(t, "up\r\n", false)})

	cancel()

	select {
	case <-g.Ended():
	case <-time.After(10 * time.Second):
		t.Fatal("qemu outlived its context")
	}
	require.ErrorIs(t, g.Err(), context.Canceled)
}

func TestPowerOffEndsTheWaitForSSH(t *testing.T) {
	g := boot(t, t.Context(), Options{Image: machinetest.Speaker(t, "bye\r\n", true)})

	_, err := g.Connect(t.Context())

	require.ErrorIs(t, err, ErrEnded)
}

// A kernel without a root file system panics all by itself. The kernel is the
// file that NOSA_TEST_KERNEL names, or the newest of /boot.
func TestRealKernelPanicIsSeen(t *testing.T) {
	kernel := os.Getenv("NOSA_TEST_KERNEL")
	if kernel == "" {
		found, _ := filepath.Glob("/boot/vmlinuz-*")
		if len(found) == 0 {
			testkit.Miss(t, "no kernel: set NOSA_TEST_KERNEL to one")
		}
		kernel = slices.Max(found)
	}
	g := boot(t, t.Context(), Options{Kernel: kernel, Cmdline: "console=ttyS0"})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	_, err := g.Connect(ctx)

	require.ErrorContains(t, err, "kernel panic: VFS: Unable to mount root fs")
}

func TestProbeGuestRunsUnderEmulation(t *testing.T) {
	testkit.NeedTool(t, "qemu-system-x86_64")
	image := filepath.Join(t.TempDir(), "probe.img")
	require.NoError(t, runProbe(t.Context(), tool.Host{}, arch.X86_64, image, "tcg", "max"))
}

func TestProbeSeesAGuestThatDoesNotStart(t *testing.T) {
	testkit.NeedTool(t, "qemu-system-x86_64")
	image := filepath.Join(t.TempDir(), "probe.img")
	err := runProbe(t.Context(), tool.Host{}, arch.X86_64, image, "tcg", "no-such-cpu")
	require.ErrorContains(t, err, "a trial guest does not start: qemu-system-x86_64: unable to find CPU model 'no-such-cpu'")
}

func TestProbeNeedsTheDevice(t *testing.T) {
	host, err := arch.Host()
	require.NoError(t, err)
	require.ErrorIs(t, probe(t.Context(), tool.Host{}, host, filepath.Join(t.TempDir(), "kvm")), os.ErrNotExist)
}

func TestTriggerFindsAWordAcrossWrites(t *testing.T) {
	count := 0
	w := &trigger{word: []byte("KVM internal error"), fire: func() { count++ }}
	for _, part := range strings.SplitAfter("noise KVM internal error. Suberror: 1", " ") {
		_, err := w.Write([]byte(part))
		require.NoError(t, err)
	}
	require.NotZero(t, count)
}

func TestASavedGuestGoesOnAndACrashedOneKeepsItsDisk(t *testing.T) {
	image := machinetest.Speaker(t, "up\r\n", false)
	g := boot(t, t.Context(), Options{Image: image})
	require.Eventually(t, func() bool { return strings.Contains(g.console.text(), "up\n") }, time.Minute, 10*time.Millisecond)
	saved, err := g.Save(t.Context(), tool.Host{}, filepath.Join(t.TempDir(), "saved.qcow2"))
	require.NoError(t, err)
	crashed, err := g.Crash(filepath.Join(t.TempDir(), "crashed.qcow2"))
	require.NoError(t, err)
	require.Error(t, g.Err(), "it was killed")

	console := filepath.Join(t.TempDir(), "console.txt")
	again := boot(t, t.Context(), Options{Saved: &saved, ConsoleFile: console})
	text, err := again.monitor.command(t.Context(), "query-status", nil)
	require.NoError(t, err)
	require.Contains(t, string(text), `"running": true`)
	again.Close()
	said, err := os.ReadFile(console)
	require.NoError(t, err)
	require.NotContains(t, string(said), "up", "it went on after its words")

	boot(t, t.Context(), Options{Saved: &crashed}).Close()
}

func TestTimeOutsGrowWithTheMachinesSlowness(t *testing.T) {
	for want, a := range map[time.Duration]Accel{
		time.Minute:      {KVM: true, Slow: 9},
		3 * time.Minute:  {Slow: 0.5},
		6 * time.Minute:  {Slow: 2},
		15 * time.Minute: {Slow: 100},
	} {
		require.Equal(t, want, a.Scale(time.Minute))
	}
	testkit.NeedTool(t, "qemu-system-x86_64")
	require.Positive(t, measure(t.Context(), tool.Host{}, arch.X86_64))
}
