package boot_test

import (
	"path/filepath"
	"testing"
)

// cuts is how often the power fails in the middle of an update.
const cuts = "20"

// A guest comes back from a reboot.
func TestReboot(t *testing.T) {
	w := newWorld(t)
	w.kola(t, filepath.Join(t.TempDir(), "reboot"), "run", "--build", w.build.ID, "nestos.reboot")
}

// An image is updated to the next build and goes back, with the power cut again
// and again.
func TestUpgradeSurvivesPowerCuts(t *testing.T) {
	w := newWorld(t)
	// The same packages again: another version, and so another commit.
	w.nosa(t, "build", "--force", "container")
	w.kola(t, filepath.Join(t.TempDir(), "upgrade"), "run-upgrade", "--parent-build", w.build.ID, "--parallel", "auto", "--power-cuts", cuts)
}
