package buildah_test

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/assembler/container"
	"github.com/nestos/nosa-actions/internal/assembler/container/enginetest"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// BenchmarkStart is a command in an image that is there, beside podman run of the
// same: a stage should not take more than 1.5 times as long to start.
func BenchmarkStart(b *testing.B) {
	testkit.NeedRoot(b)
	testkit.NeedTool(b, "runc", "podman")
	root := b.TempDir()
	b.Cleanup(func() { _ = syscall.Unmount(filepath.Join(root, "podman/overlay"), 0) }) // podman leaves it mounted on itself
	programs := enginetest.Build(b)
	ref, err := container.ParseReference("oci-archive:" + enginetest.Archive(b, enginetest.Busybox(b, "")))
	require.NoError(b, err)
	e := engine(root, programs)
	image, err := e.Pull(b.Context(), ref)
	require.NoError(b, err)
	b.Run("engine", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, e.Run(b.Context(), container.RunSpec{Image: image, Command: []string{"true"}, User: "root"}))
		}
	})
	b.Run("pull", func(b *testing.B) {
		for b.Loop() {
			begin := time.Now()
			_, err := e.Pull(b.Context(), ref)
			require.NoError(b, err)
			require.Less(b, time.Since(begin), 5*time.Second)
		}
	})
	podman := func(args ...string) {
		_, err := tool.Host{}.Run(b.Context(), tool.Cmd{Name: "podman", Args: append([]string{
			"--root", filepath.Join(root, "podman"), "--runroot", filepath.Join(root, "podman-run"), "--runtime", "runc", "--cgroup-manager", "cgroupfs",
		}, args...)})
		require.NoError(b, err)
	}
	podman("pull", "--quiet", "oci-archive:"+ref.Name)
	podman("tag", image.ID, "localhost/start:1")
	b.Run("podman", func(b *testing.B) {
		for b.Loop() {
			podman("run", "--rm", "--network=host", "--privileged", "--user=root", "--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096", "localhost/start:1", "true")
		}
	})
}
