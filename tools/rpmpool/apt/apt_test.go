package apt_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/tools/rpmpool/apt"
)

// aptGet stands in for apt-get: it prints the list, and "downloads" into the
// archive directory it is given.
type aptGet struct {
	uris      string
	lists     string
	fail      error
	downloads int
}

func (a *aptGet) Run(_ context.Context, c tool.Cmd) ([]byte, error) {
	switch {
	case slices.Contains(c.Args, "indextargets"):
		return []byte(a.lists), nil
	case a.fail != nil:
		return nil, a.fail
	case slices.Contains(c.Args, "--print-uris"):
		return []byte(a.uris), nil
	}
	a.downloads++
	for _, arg := range c.Args {
		if dir, ok := strings.CutPrefix(arg, "Dir::Cache::archives="); ok {
			for _, name := range []string{"a_1_all.deb", "b_1%3a2_amd64.deb"} {
				if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
					return nil, err
				}
			}
		}
	}
	return nil, nil
}

func (a *aptGet) Start(context.Context, tool.Cmd) (tool.Process, error) {
	return nil, errors.New("not needed")
}

const uris = `Reading package lists...
'http://mirror.example/a_1_all.deb' a_1_all.deb 12 SHA256:00
'http://mirror.example/b_1%3a2_amd64.deb' b_1%3a2_amd64.deb 12 SHA256:00
`

func TestNothingIsDownloadedTwice(t *testing.T) {
	host := &aptGet{uris: uris}
	o := apt.Options{Packages: []string{"a"}, Cache: t.TempDir()}
	for range 2 {
		paths, err := apt.Download(t.Context(), host, o)

		require.NoError(t, err)
		require.Len(t, paths, 2)
		require.Equal(t, "b_1%3a2_amd64.deb", filepath.Base(paths[1]))
		require.FileExists(t, paths[1])
	}
	require.Equal(t, 1, host.downloads)
}

func TestMissingListsAreExplained(t *testing.T) {
	failed := &tool.Error{Cmd: tool.Cmd{Name: "apt-get"}, Stderr: "E: Unable to locate package a\n", Err: errors.New("exit status 100")}
	o := apt.Options{Packages: []string{"a"}, Cache: t.TempDir()}

	_, err := apt.Download(t.Context(), &aptGet{fail: failed}, o)
	require.ErrorIs(t, err, apt.ErrNoLists)

	_, err = apt.Download(t.Context(), &aptGet{fail: failed, lists: "/some/list\n"}, o)
	require.EqualError(t, err, "resolve the packages: apt-get: exit status 100: E: Unable to locate package a")
}

func TestDownloadThatLeavesAPackageOut(t *testing.T) {
	host := &aptGet{uris: uris + "'http://mirror.example/c.deb' c.deb 1 SHA256:00\n"}

	_, err := apt.Download(t.Context(), host, apt.Options{Packages: []string{"a"}, Cache: t.TempDir()})

	require.ErrorContains(t, err, "c.deb")
}
