package inspect

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// What a package database may make of rpm sees and changes nothing of the machine.
func TestRPMReadsDatabasesInACage(t *testing.T) {
	testkit.NeedTool(t, "bwrap", "sh", "cat", "id")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rpmdb.sqlite"), []byte("db"), 0o600))
	script := `id -u; cat rpmdb.sqlite; echo
cat /etc/shadow /etc/passwd /root/.ssh/id_rsa "$1/rpmdb.sqlite" 2>/dev/null && echo "sees files"
echo x > /usr/x; echo x > /etc/x
tail -n +2 /proc/net/route; echo "$TOKEN"; ls /proc | grep -c '^[0-9]'`
	t.Setenv("TOKEN", "secret")
	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "bwrap", Args: append(cage(dir), "sh", "-c", "cd "+cagedDatabase+"\n"+script, "sh", dir)})
	require.NoError(t, err)
	require.Regexp(t, `^65534\ndb\n\n[1-9]\n$`, string(out))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.NoFileExists(t, "/usr/x")
	require.NoFileExists(t, "/etc/x")
}
