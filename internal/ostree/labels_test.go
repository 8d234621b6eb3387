package ostree

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A policy for libselinux is its configuration and a table of path patterns.
func TestLabelsComeFromTheTreeAndNoneIsMissing(t *testing.T) {
	repo := open(t)
	commit := func(contexts string) (string, error) {
		root := t.TempDir()
		for path, text := range map[string]string{
			"usr/etc/selinux/config":                            "SELINUX=enforcing\nSELINUXTYPE=test\n",
			"usr/etc/selinux/test/contexts/files/file_contexts": contexts,
			"usr/etc/selinux/test/policy/policy.33":             "compiled",
			"usr/bin/sh":                                        "shell",
		} {
			write(t, filepath.Join(root, path), text, 0o644)
		}
		checksum, _, err := repo.CommitTree(t.Context(), TreeCommit{Tree: root, Timestamp: time.Unix(0, 0), SELinux: true})
		return checksum, err
	}

	checksum, err := commit("/.*\tsystem_u:object_r:all_t:s0\n/usr/bin/sh\t--\tsystem_u:object_r:shell_t:s0\n")
	require.NoError(t, err)
	out, err := repo.ostree(t.Context(), "ls", "-R", "-X", checksum, "/usr/bin")
	require.NoError(t, err)
	require.Contains(t, out, "system_u:object_r:shell_t:s0')] } /usr/bin/sh")

	_, err = commit("/.*\tsystem_u:object_r:all_t:s0\n/usr/bin(/.*)?\t<<none>>\n")
	require.EqualError(t, err, "commit the tree: the SELinux policy has no label for /usr/bin (2 paths in all)")
}
