package watchfs_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/watchfs"
)

var newest = time.Unix(1700000000, 0)

// tree makes a directory that the tests change in turn.
func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"read/me": "one\n", "read/not": "two\n", "list/a": "", "list/b": "", "deep/er/file": "three\n",
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		require.NoError(t, os.Chtimes(path, newest, newest))
	}
	require.NoError(t, os.Symlink("deep/er", filepath.Join(dir, "link")))
	return dir
}

// watch runs a shell script in a view of the directory.
func watch(t *testing.T, dir, script string) (said string, r *watchfs.Record) {
	t.Helper()
	testkit.NeedRoot(t)
	at := t.TempDir()
	view, err := watchfs.Mount(dir, at, newest)
	if err != nil {
		testkit.Miss(t, "cannot mount: "+err.Error())
	}
	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "sh", Args: []string{"-ec", script}, Dir: at})
	require.NoError(t, view.Close())
	require.NoError(t, err)
	r, err = view.Record()
	require.NoError(t, err)
	kept, err := json.Marshal(r)
	require.NoError(t, err)
	again := &watchfs.Record{}
	require.NoError(t, json.Unmarshal(kept, again))
	require.Equal(t, r, again, "a record survives being kept")
	return string(out), r
}

// script asks in all the ways there are.
const script = `
	cat read/me link/file
	ls list
	test ! -e absent
	test -f read/not
	stat -c '%s %a %Y' read/not
`

func TestAViewShowsTheDirectoryAsItIs(t *testing.T) {
	said, _ := watch(t, tree(t), script)

	require.Equal(t, "one\nthree\na\nb\n4 644 1700000000\n", said)
}

func TestAViewIsReadOnlyAndHidesTheHour(t *testing.T) {
	dir := tree(t)
	require.NoError(t, os.Chtimes(filepath.Join(dir, "read/me"), time.Now(), time.Now()))

	said, _ := watch(t, dir, "touch new 2>/dev/null || echo refused; stat -c %Y read/me")

	require.Equal(t, "refused\n1700000000\n", said)
	require.NoFileExists(t, filepath.Join(dir, "new"))
}

func TestARecordHoldsUntilAnAnswerChanges(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(dir string) error
		differs string
	}{
		"nothing":                   {func(string) error { return nil }, ""},
		"a name nobody asked for":   {write("new", "x"), ""},
		"a file nobody read":        {write("read/other", "x"), ""},
		"the time, past the limit":  {write("deep/other", "x"), ""},
		"content that was read":     {write("read/me", "two\n"), "/read/me"},
		"content behind a link":     {write("deep/er/file", "3333\n"), "/deep/er/file"},
		"a name in a listing":       {write("list/c", ""), "/list"},
		"a name that was missing":   {write("absent", ""), "/absent"},
		"the size of what was seen": {write("read/not", "2"), "/read/not"},
		"the mode of what was seen": {func(dir string) error { return os.Chmod(dir+"/read/not", 0o600) }, "/read/not"},
		"the time of what was seen": {func(dir string) error {
			return os.Chtimes(dir+"/read/not", newest.Add(-time.Hour), newest.Add(-time.Hour))
		}, "/read/not"},
		"where a link leads": {func(dir string) error {
			return os.Rename(tempLink(dir, "deep/../deep/er"), dir+"/link")
		}, "/link"},
		"a file that went": {func(dir string) error { return os.Remove(dir + "/read/me") }, "/read/me"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t)
			_, r := watch(t, dir, script)

			require.NoError(t, c.change(dir))

			differs, err := r.Differs(dir)
			require.NoError(t, err)
			require.Equal(t, c.differs, differs)
		})
	}
}

func write(name, text string) func(string) error {
	return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644) }
}

func tempLink(dir, target string) string {
	path := filepath.Join(dir, ".link")
	_ = os.Symlink(target, path)
	return path
}
