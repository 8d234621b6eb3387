package boot_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/tool"
)

// The benchmarks compare with what there is without nosa, in the same run, since
// seconds mean nothing on another machine:
//
//	NOSA_TEST_BOOT=1 NOSA_BOOT_WORKDIR=DIR go test -run '^$' -bench . -benchtime 1x ./test/boot

// timed runs tests, all of which must pass, and returns how long that took.
func (w world) timed(b *testing.B, args ...string) time.Duration {
	b.Helper()
	begin := time.Now()
	w.kola(b, filepath.Join(b.TempDir(), "kola"), append([]string{"run", "--build", w.build.ID}, args...)...)
	return time.Since(begin)
}

// bare boots the image with qemu alone and returns how long it took to the login
// prompt.
func (w world) bare(b *testing.B) time.Duration {
	b.Helper()
	dir := b.TempDir()
	overlay, console := filepath.Join(dir, "overlay"), filepath.Join(dir, "console")
	begin := time.Now()
	host(b, "", "qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", w.image(b, "qemu"), overlay)
	g := guest{firmware: bios, memoryMiB: 1024, media: []string{
		"-drive", "if=none,id=disk,format=qcow2,cache=unsafe,file=" + overlay, "-device", "virtio-blk-pci,drive=disk,bootindex=1",
	}}
	ctx, cancel := context.WithTimeoutCause(b.Context(), limit, errors.New("no login prompt in time"))
	defer cancel()
	qemu, err := tool.Host{}.Start(ctx, tool.Cmd{Name: "qemu-system-x86_64", Args: g.args(b, console, filepath.Join(dir, "facts"))})
	require.NoError(b, err)
	defer func() { cancel(); _ = qemu.Wait() }()
	for {
		said, _ := os.ReadFile(console)
		if bytes.Contains(said, []byte(" login:")) {
			return time.Since(begin)
		}
		select {
		case <-ctx.Done():
			require.NoError(b, context.Cause(ctx), "%s", said)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// From an image to the verdict of the basic test, against what bare qemu takes to
// the login prompt.
func BenchmarkBasicTest(b *testing.B) {
	w := newWorld(b)
	var bare, kola time.Duration
	for b.Loop() {
		kola += w.timed(b, "basic")
		bare += w.bare(b)
	}
	b.ReportMetric(bare.Seconds()/float64(b.N), "s/login")
	b.ReportMetric(kola.Seconds()/float64(b.N), "s/verdict")
	b.ReportMetric(kola.Seconds()/bare.Seconds(), "verdict/login")
}

// Four tests with a guest each, one after the other and all at once.
func BenchmarkFourTests(b *testing.B) {
	w := newWorld(b)
	var one, four time.Duration
	for b.Loop() {
		one += w.timed(b, "--multiply", "4", "--parallel", "1", "basic")
		four += w.timed(b, "--multiply", "4", "--parallel", "4", "basic")
	}
	b.ReportMetric(one.Seconds()/float64(b.N), "s/in-turn")
	b.ReportMetric(four.Seconds()/float64(b.N), "s/at-once")
	b.ReportMetric(one.Seconds()/four.Seconds(), "in-turn/at-once")
}
