package boot_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/tool"
)

// kola runs a command of nosa kola, whose tests must pass. What is wrong is on its
// standard output, and in the logs that it keeps in dir.
func (w work) kola(t testing.TB, dir string, args ...string) {
	t.Helper()
	_, err := tool.Host{}.Run(t.Context(), tool.Cmd{
		Name: w.program, Args: append([]string{"kola", args[0], "--output-dir", dir}, args[1:]...), Dir: w.dir,
		Stdout: os.Stdout, Stderr: os.Stderr, Grace: time.Minute,
	})
	require.NoError(t, err, "%q", args)
}

// The live system starts in every way that there is, and installs itself on all
// kinds of disk, which start.
func TestLiveSystem(t *testing.T) {
	w := newWorld(t)
	w.kola(t, filepath.Join(t.TempDir(), "testiso"), "testiso", "--build", w.build.ID)
}
