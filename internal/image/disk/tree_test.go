package disk_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/image/imagetest"
)

// host runs a program and returns its output without the final newline.
func host(t testing.TB, name string, args ...string) string {
	t.Helper()
	return imagetest.Host(t, name, args...)
}

// shared is the small tree's commit, made by the first test that wants it and
// read by all.
var shared struct{ dir, repo, checksum string }

func smallCommit(t testing.TB) (repo, checksum string) {
	t.Helper()
	if shared.checksum == "" {
		require.NoError(t, os.RemoveAll(shared.dir)) // of a test that failed half-way
		dir, err := os.MkdirTemp("", "disk-test-")
		require.NoError(t, err)
		shared.dir = dir
		shared.repo, shared.checksum = imagetest.Commit(t, dir, imagetest.SmallTree(t))
	}
	return shared.repo, shared.checksum
}

func TestMain(m *testing.M) {
	status := m.Run()
	if shared.dir != "" {
		os.RemoveAll(shared.dir)
	}
	os.Exit(status)
}
