package enginetest

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// mark makes a number of seconds that no other process sleeps for.
func mark(t *testing.T) string {
	n, err := rand.Int(rand.Reader, big.NewInt(1e9))
	require.NoError(t, err)
	return fmt.Sprint(1e9 + n.Int64())
}

// sleepers are the processes of this machine that sleep for so long.
func sleepers(marker string) []string {
	var found []string
	list, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range list {
		text, _ := os.ReadFile(file)
		if strings.HasPrefix(string(text), "sleep\x00"+marker) {
			found = append(found, filepath.Dir(file))
		}
	}
	return found
}

// waitFor tells whether the command has started to sleep.
func waitFor(marker string) bool {
	for range 200 {
		if len(sleepers(marker)) > 0 {
			return true
		}
		time.Sleep(50 * time.Millisecond)
	}
	return false
}

// nothingLeft looks for processes, mounts and loop devices of a run that ended.
// The kernel may take a moment after a kill.
func (s *suite) nothingLeft(t *testing.T, marker string) {
	t.Helper()
	require.Eventually(t, func() bool { return len(sleepers(marker)) == 0 }, 10*time.Second, 50*time.Millisecond, "a process is left")
	require.Eventually(t, func() bool { return !strings.Contains(loops(t), marker) }, 5*time.Second, 50*time.Millisecond, "a loop device is left")
	require.Eventually(t, func() bool { return len(s.mounts(t)) == 0 }, 15*time.Second, 50*time.Millisecond, "mounts are left: %v", s.mounts(t))
}

// mounts are those of the store, but for one: podman leaves the directory of its
// store mounted on itself.
func (s *suite) mounts(t *testing.T) []string {
	list, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	var found []string
	for line := range strings.Lines(string(list)) {
		if strings.Contains(line, s.root) && !strings.Contains(line, s.root+"/graph/overlay rw") {
			found = append(found, line)
		}
	}
	return found
}
