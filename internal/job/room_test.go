package job

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/plan"
)

func TestOnlyWhatIsListedIsRemoved(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"usr/share/dotnet/sdk", "usr/share/doc", "opt/hostedtoolcache/CodeQL/x", "opt/hostedtoolcache/go/1.26"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	elsewhere := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(elsewhere, "kept"), nil, 0o644))
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(root, "usr/share/swift")))
	require.EqualValues(t, 7e9, spareBytes(root))
	var told []string

	require.NoError(t, freeSpare(t.Context(), root, func(path string) { told = append(told, path) }))

	require.Equal(t, []string{filepath.Join(root, "opt/hostedtoolcache/CodeQL"), filepath.Join(root, "usr/share/dotnet")}, told)
	require.DirExists(t, filepath.Join(root, "opt/hostedtoolcache/go/1.26"))
	require.DirExists(t, filepath.Join(root, "usr/share/doc"))
	require.FileExists(t, filepath.Join(elsewhere, "kept"))
	require.Zero(t, spareBytes(root))
}

func TestFreeingSpaceEndsWithTheStep(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "usr/share/dotnet"), 0o755))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, freeSpare(ctx, root, func(string) {}), context.Canceled)
	require.DirExists(t, filepath.Join(root, "usr/share/dotnet"))
}

func TestARefusalNamesEachLimitAndItsMend(t *testing.T) {
	require.NoError(t, refusal(nil))
	lines := plan.Check(plan.Forecast{Disk: plan.Exactly(2e9), Jobs: plan.Exactly(257)}, plan.Room{Disk: 1e9})
	var broken []plan.Line
	for _, l := range lines {
		if l.Verdict == plan.Refused {
			broken = append(broken, l)
		}
	}
	require.EqualError(t, refusal(broken), "disk of the runner: 2 GB foretold, 1 GB allowed; divide the platforms among jobs, or take a runner with a larger disk\n"+
		"jobs of a matrix: 257 foretold, 256 allowed; make images of several platforms in one job")
}

// The disk that is asked is that of the work directory to be.
func TestRoomIsThatOfADirectoryToBe(t *testing.T) {
	here, err := freeBytes(t.TempDir())
	require.NoError(t, err)
	there, err := freeBytes(filepath.Join(t.TempDir(), "not", "yet"))
	require.NoError(t, err)
	require.InDelta(t, here, there, 1e9)
}

func TestEmulatedGuestsAreSaidToBeSlow(t *testing.T) {
	device := filepath.Join(t.TempDir(), "kvm")
	require.Contains(t, slowGuests(device), "this runner has no KVM: guests are emulated")
	require.NoError(t, os.WriteFile(device, nil, 0o600))
	require.Empty(t, slowGuests(device))
}

func TestTheMendOfAFullDiskDependsOnTheRunner(t *testing.T) {
	require.Contains(t, diskMend(true, 1e9), "free-disk-space")
	require.NotContains(t, diskMend(false, 1e9), "free-disk-space")
	require.NotContains(t, diskMend(true, 0), "free-disk-space")
}
