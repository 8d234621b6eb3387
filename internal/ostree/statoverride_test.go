package ostree

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/diag"
)

func TestReadStatoverride(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "usr", "bin dir"), 0o755))
	var found diag.List
	none, err := ReadStatoverride(dir, &found)
	require.NoError(t, err)
	require.Empty(t, none)

	file := filepath.Join(dir, StatoverrideName)
	require.NoError(t, os.WriteFile(file, []byte("# modes\n\n=493 /usr\n +2048 /usr/bin dir\n64 /usr\n"), 0o644))
	got, err := ReadStatoverride(dir, &found)
	require.NoError(t, err)
	require.NoError(t, found.Err())
	require.Equal(t, []StatOverride{
		{Set: true, Mode: 0o755, Path: "/usr", Pos: diag.Pos{File: file, Line: 3, Column: 1}},
		{Mode: 0o4000, Path: "/usr/bin dir", Pos: diag.Pos{File: file, Line: 4, Column: 2}},
		{Mode: 0o100, Path: "/usr", Pos: diag.Pos{File: file, Line: 5, Column: 1}},
	}, got, "a mode without a sign is added, as libostree does")
}

func FuzzStatoverride(f *testing.F) {
	f.Add("=288 /etc/motd\n")
	f.Add("# x\n+0440 /a b\r\n==1 /\n")
	f.Fuzz(func(t *testing.T, text string) {
		for line := range strings.Lines(text) {
			var found diag.List
			o, ok := parseStatoverride(line, diag.Pos{File: "f", Line: 1}, &found)
			if !ok {
				continue
			}
			require.NoError(t, found.Err())
			require.LessOrEqual(t, o.Mode, os.FileMode(0o7777))
			again, ok := parseStatoverride(o.line(), o.Pos, &found)
			require.True(t, ok)
			require.Equal(t, [3]any{o.Set, o.Mode, o.Path}, [3]any{again.Set, again.Mode, again.Path})
		}
	})
}
