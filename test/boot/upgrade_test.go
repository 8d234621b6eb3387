package boot_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/tool"
)

// cuts is how often the power fails in the middle of an update.
const cuts = "20"

// An image is updated to the next build and goes back, with the power cut again
// and again; and it comes back from a reboot. What is wrong is in the logs that
// nosa keeps, and on its standard output.
func TestUpgradeSurvivesPowerCuts(t *testing.T) {
	w := newWorld(t)
	dir := filepath.Dir(filepath.Dir(filepath.Dir(w.build.Dir))) // builds/ID/ARCH
	nosa := filepath.Join(t.TempDir(), "nosa")
	host(t, "", "go", "build", "-o", nosa, "../../cmd/nosa")
	if _, _, err := w.build.Image("qemu"); err != nil {
		host(t, dir, nosa, "buildextend-qemu")
	}
	out := t.TempDir()
	for _, args := range [][]string{
		{"kola", "run", "--output-dir", filepath.Join(out, "reboot"), "nestos.reboot"},
		// The same packages again: another version, and so another commit.
		{"build", "--force", "container"},
		{"kola", "run-upgrade", "--parent-build", w.build.ID, "--parallel", "auto", "--power-cuts", cuts, "--output-dir", filepath.Join(out, "upgrade")},
	} {
		_, err := tool.Host{}.Run(t.Context(), tool.Cmd{
			Name: nosa, Args: args, Dir: dir, Stdout: os.Stdout, Stderr: os.Stderr, Grace: time.Minute,
		})
		require.NoError(t, err, "%q", args)
	}
}
