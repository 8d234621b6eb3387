package actions

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkStart starts each program of the suite, which finds that it is no step
// of an action and ends. The figure times-true is that of true(1) beside it.
func BenchmarkStart(b *testing.B) {
	bin := b.TempDir()
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-tags", "containers_image_openpgp", "-o", bin+"/")
	for _, name := range names {
		build.Args = append(build.Args, "./"+name)
	}
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(b, err, string(out))
	for _, name := range names {
		b.Run(name, func(b *testing.B) {
			var ours, theirs time.Duration
			for b.Loop() {
				ours += start(b, filepath.Join(bin, name))
				theirs += start(b, "true")
			}
			b.ReportMetric(float64(ours.Milliseconds())/float64(b.N), "ms/start")
			b.ReportMetric(float64(ours)/float64(theirs), "times-true")
		})
	}
}

// start runs a program without any variable of a runner.
func start(b *testing.B, program string) time.Duration {
	b.Helper()
	cmd := exec.Command(program)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	began := time.Now()
	_ = cmd.Run() // a step must say what is missing, so it ends with an error
	return time.Since(began)
}
