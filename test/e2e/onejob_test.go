package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
)

// TestOneJobDoesItAll runs the example for small systems in a config repository of its
// own: one action, which fetches, builds, boots and tests.
func TestOneJobDoesItAll(t *testing.T) {
	runner := prepare(t)
	config := t.TempDir()
	require.NoError(t, os.CopyFS(config, os.DirFS(filepath.Join(runner.root, "examples", "nestos-mini"))))
	repo := fmt.Sprintf("[pool]\nname=pool\nbaseurl=file://%s\nenabled=1\ngpgcheck=0\n", pool(runner.root))
	require.NoError(t, os.WriteFile(filepath.Join(config, "pool.repo"), []byte(repo), 0o600))
	do(t, config, "git", "init", "-q")

	result := runner.run(t, job{
		workflow: "examples/workflows/one-job.yml", event: "pull_request", payload: pullRequest(), source: config,
		env: map[string]string{"GITHUB_REPOSITORY": "someone/os"},
	})

	require.Equal(t, map[string]string{"os": "success"}, result.jobs)
	fmt.Printf("%-12s %8s\n", "os", result.times["os"].Round(time.Second))
	host, err := arch.Host()
	require.NoError(t, err)
	logs := "nosa-test-" + host.RPM
	unzip(t, filepath.Join(runner.artifacts, "1", logs, logs+".zip"), "reports/report.json", filepath.Join(t.TempDir(), "report.json"))
}
