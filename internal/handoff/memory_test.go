package handoff_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/handoff"
	"github.com/nestos/nosa-actions/internal/tool"
)

// TestMemoryIsBounded packs and unpacks more than the bound in processes of
// their own, on as many cores as a large machine has, and asks the kernel for
// the most memory that each ever had.
func TestMemoryIsBounded(t *testing.T) {
	const bound = 256 << 20
	dir := t.TempDir()
	src, dst := filepath.Join(dir, "src"), filepath.Join(dir, "dst")
	require.NoError(t, os.MkdirAll(dst, 0o755))
	put(t, src, "cache/incompressible", noise(1, 150<<20))
	text := strings.Repeat("0123456789abcdef, and so on and on, ", 1000)
	for i := range 3000 {
		put(t, src, fmt.Sprintf("cache/rpms/%d", i), []byte(strconv.Itoa(i)+text))
	}
	f, err := os.Create(filepath.Join(src, "disk.raw"))
	require.NoError(t, err)
	for at := int64(0); at < 10<<30; at += 64 << 20 { // holes between
		_, err := f.WriteAt(noise(uint64(at), 600<<10), at)
		require.NoError(t, err)
	}
	require.NoError(t, f.Truncate(10<<30))
	require.NoError(t, f.Close())

	pack := filepath.Join(dir, "pack.tar.zst")
	for _, what := range []string{"pack", "unpack"} {
		from, to := src, pack
		if what == "unpack" {
			from, to = pack, dst
		}
		out, err := tool.Host{}.Run(t.Context(), tool.Cmd{
			Name: os.Args[0], Args: []string{"-test.run=^$"},
			Env: []string{"NOSA_TEST_CHILD=" + what, "NOSA_TEST_FROM=" + from, "NOSA_TEST_TO=" + to, "GOMAXPROCS=64"},
		})
		require.NoError(t, err, "%s", out)
		peak, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
		require.NoError(t, err)
		t.Logf("%s: at most %d MiB", what, peak>>20)
		require.Less(t, peak, int64(bound), what)
		require.Greater(t, peak, int64(1<<20), "a measure that measures nothing")
	}
	_, err = tool.Host{}.Run(t.Context(), tool.Cmd{Name: "diff", Args: []string{"-r", filepath.Join(src, "cache"), filepath.Join(dst, "cache")}})
	require.NoError(t, err)
}

// TestMain becomes the process that packs or unpacks when it is asked to.
func TestMain(m *testing.M) {
	from, to := os.Getenv("NOSA_TEST_FROM"), os.Getenv("NOSA_TEST_TO")
	var err error
	switch os.Getenv("NOSA_TEST_CHILD") {
	case "":
		os.Exit(m.Run())
	case "pack":
		_, err = handoff.PackFile(context.Background(), to, from, handoff.PackOptions{Paths: []string{"cache", "disk.raw"}})
	case "unpack":
		_, err = handoff.UnpackFile(context.Background(), from, to, handoff.UnpackOptions{})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	peak(os.Stdout)
}

// peak writes the most memory that the process ever had, in bytes.
func peak(w io.Writer) {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if kib, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(kib)[0], 10, 64)
			fmt.Fprintln(w, n<<10)
		}
	}
}
