package workdir

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
)

func TestOpenAsksForInit(t *testing.T) {
	path := t.TempDir()
	_, err := Open(path, arch.X86_64)
	require.EqualError(t, err, path+" is not a work directory (it has no builds directory); run nosa init first")
}

func TestCreateMakesTheLayoutAndLeavesWhatIsThere(t *testing.T) {
	d := newDir(t)
	mark := filepath.Join(d.Cache(), "kept")
	require.NoError(t, os.WriteFile(mark, nil, 0o644))

	again, err := Create(d.Path, arch.X86_64)

	require.NoError(t, err)
	require.FileExists(t, mark)
	for _, path := range []string{again.BuildsDir(), again.Tmp(), again.Overrides() + "/rpm", again.Overrides() + "/rootfs"} {
		require.DirExists(t, path)
	}
}

func TestOpenTakesARelativePath(t *testing.T) {
	d := newDir(t)
	t.Chdir(d.Path)
	got, err := Open(".", arch.X86_64)
	require.NoError(t, err)
	require.Equal(t, d.Path, got.Path)
}

func TestVariant(t *testing.T) {
	d := newDir(t)
	for _, set := range []string{"", "edge", "default", "edge", ""} {
		require.NoError(t, d.SetVariant(set))
		got, err := d.Variant()
		require.NoError(t, err)
		if set == "default" {
			set = ""
		}
		require.Equal(t, set, got)
	}
	require.NoError(t, d.SetVariant("edge"))
	data, err := os.ReadFile(filepath.Join(d.Path, "src/config.json"))
	require.NoError(t, err)
	require.JSONEq(t, `{"coreos-assembler.config-variant": "edge"}`, string(data))
}

func TestBeginBuildEmptiesItsDirectory(t *testing.T) {
	d := newDir(t)
	path, err := d.BeginBuild("qemu")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(d.Path, "tmp/build.qemu"), path)
	require.NoError(t, os.MkdirAll(filepath.Join(path, "locked/deep"), 0o755))
	require.NoError(t, os.Chmod(filepath.Join(path, "locked"), 0o555))

	again, err := d.BeginBuild("qemu")

	require.NoError(t, err)
	require.Equal(t, path, again)
	left, err := os.ReadDir(path)
	require.NoError(t, err)
	require.Empty(t, left)
	_, err = d.BeginBuild("../escape")
	require.Error(t, err)
}
