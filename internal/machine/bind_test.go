package machine

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseBind(t *testing.T) {
	dir := t.TempDir()
	b, err := ParseBind(dir+",/var/mnt/work dir", true)
	require.NoError(t, err)
	require.Equal(t, Bind{Dir: dir, At: "/var/mnt/work dir", Writable: true}, b)
	u := b.unit(3)
	require.Equal(t, `var-mnt-work\x20dir.mount`, u.Name)
	require.Contains(t, u.Content, "What=bind3\nWhere=/var/mnt/work dir\nType=virtiofs\nOptions=rw\n")
	require.Contains(t, Bind{At: "/a"}.unit(0).Content, "Options=ro")

	for spec, want := range map[string]string{
		dir:                         "must be DIR,PATH with an absolute path in the guest",
		dir + ",mnt":                "must be DIR,PATH with an absolute path in the guest",
		filepath.Join(dir, "no,/a"): "no such file or directory",
		"/etc/passwd,/a":            "/etc/passwd is not a directory",
	} {
		_, err := ParseBind(spec, false)
		require.ErrorContains(t, err, want, spec)
	}
}

func TestAProgramThatEndsMakesNoSocket(t *testing.T) {
	ended := make(chan error, 1)
	ended <- nil
	require.ErrorContains(t, waitForSocket(t.Context(), filepath.Join(t.TempDir(), "s"), ended), "ended at once")
	ended <- errors.New("no right")
	require.ErrorContains(t, waitForSocket(t.Context(), filepath.Join(t.TempDir(), "s"), ended), "no right")
}
