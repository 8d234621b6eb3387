package tool_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

func TestMain(m *testing.M) {
	if at := os.Getenv(mountHelper); at != "" {
		mountAndDie(at)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// mountHelper makes the test binary mount something, say so, and be killed.
const mountHelper = "NOSA_TEST_MOUNT_AT"

func mountAndDie(at string) {
	if err := tool.PrivateMounts(); err != nil {
		fmt.Println(err)
		return
	}
	if err := unix.Mount("tmpfs", at, "tmpfs", 0, ""); err != nil {
		fmt.Println(err)
		return
	}
	_ = os.WriteFile(filepath.Join(at, "inside"), nil, 0o644)
	entries, _ := os.ReadDir(at)
	fmt.Println("mounted, files:", len(entries))
	_ = unix.Kill(os.Getpid(), unix.SIGKILL)
}

func TestPrivateMountsGoWithTheProgram(t *testing.T) {
	testkit.NeedRoot(t)
	at := t.TempDir()

	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: os.Args[0], Env: []string{mountHelper + "=" + at}})

	require.ErrorContains(t, err, "killed")
	if string(out) == "operation not permitted\n" {
		testkit.Miss(t, "no right to mount")
	}
	require.Equal(t, "mounted, files: 1\n", string(out))
	left, err := os.ReadDir(at)
	require.NoError(t, err)
	require.Empty(t, left, "the mount is seen outside")
	require.NoError(t, os.Remove(at), "the mount is still there")
}
