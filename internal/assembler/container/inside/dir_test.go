package inside

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnlyDirectoriesOfDeadProcessesAreSwept(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	mine, lock, err := makeDir()
	require.NoError(t, err)
	defer lock.Close()
	dead, deadLock, err := makeDir()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dead, "s"), nil, 0o600))
	require.NoError(t, deadLock.Close()) // as the kernel does
	other := filepath.Join(os.TempDir(), "other")
	require.NoError(t, os.Mkdir(other, 0o700))

	next, nextLock, err := makeDir()

	require.NoError(t, err)
	defer nextLock.Close()
	require.DirExists(t, mine)
	require.DirExists(t, next)
	require.NoDirExists(t, dead)
	require.DirExists(t, other)
}
