package workdir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// fiveBuilds publishes 1 to 5, an hour apart; 2 is tagged.
func fiveBuilds(t *testing.T) *Dir {
	d := newDir(t)
	for i := range 5 {
		m := sample(fmt.Sprint(i + 1))
		m.BuildTimestamp = fmt.Sprintf("2025-01-14T%02d:00:00Z", i)
		_, err := d.Publish(finishedAs(t, d, m), m.BuildID)
		require.NoError(t, err)
	}
	require.NoError(t, d.UpdateIndex(func(x *Index) error {
		x.Tags = []Tag{{Name: "tested", Created: Timestamp(noon), Target: "2"}}
		return nil
	}))
	return d
}

func TestPrune(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		given         func(*Dir) error
		options       PruneOptions
		dropped, left []string
		fault         string
	}{
		"the newest stay, tagged ones do not count": {
			options: PruneOptions{KeepLast: 2}, dropped: []string{"3", "1"}, left: []string{"5", "4", "2"},
		},
		"nought keeps all": {left: []string{"5", "4", "3", "2", "1"}},
		"named builds go": {
			options: PruneOptions{KeepLast: 1, Drop: []string{"5", "1", "5"}}, dropped: []string{"5", "1"}, left: []string{"4", "3", "2"},
		},
		"a dry run only tells": {
			options: PruneOptions{KeepLast: 1, DryRun: true}, dropped: []string{"4", "3", "1"}, left: []string{"5", "4", "3", "2", "1"},
		},
		"a tagged build is refused": {
			options: PruneOptions{Drop: []string{"1", "2"}}, left: []string{"5", "4", "3", "2", "1"}, fault: "build 2 is tagged",
		},
		"an unknown build is refused": {
			options: PruneOptions{Drop: []string{"1", "9"}}, left: []string{"5", "4", "3", "2", "1"}, fault: "build 9: no such build",
		},
		"a build without metadata vanishes, one not listed comes back": {
			given: func(d *Dir) error {
				return errors.Join(
					os.Remove(filepath.Join(d.BuildsDir(), "5/x86_64/meta.json")),
					d.UpdateIndex(func(x *Index) error { x.Builds = x.Builds[2:]; return nil }),
				)
			},
			left: []string{"4", "3", "2", "1"},
		},
		"a ref that stays is reported, the build goes": {
			options: PruneOptions{KeepLast: 3, DropRef: func(id string) error { return fmt.Errorf("no repo for %s", id) }},
			dropped: []string{"1"}, left: []string{"5", "4", "3", "2"}, fault: "removing the ref of build 1: no repo for 1",
		},
		"metadata that cannot be read stops all": {
			given: func(d *Dir) error {
				return os.WriteFile(filepath.Join(d.BuildsDir(), "1/x86_64/meta.json"), []byte("{}"), 0o644)
			},
			options: PruneOptions{KeepLast: 1}, left: []string{"5", "4", "3", "2", "1"}, fault: `key "buildid" is missing`,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := fiveBuilds(t)
			if c.given != nil {
				require.NoError(t, c.given(d))
			}

			dropped, err := d.Prune(c.options)

			if c.fault != "" {
				require.ErrorContains(t, err, c.fault)
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, c.dropped, dropped)
			require.Equal(t, c.left, ids(t, d))
			if !c.options.DryRun {
				for _, id := range dropped {
					require.NoDirExists(t, filepath.Join(d.BuildsDir(), id))
				}
			}
			leftover, err := filepath.Glob(filepath.Join(d.Tmp(), "pruned-*"))
			require.NoError(t, err)
			require.Empty(t, leftover)
		})
	}
}

func TestPruneMovesLatest(t *testing.T) {
	t.Parallel()
	d := fiveBuilds(t)
	link := filepath.Join(d.BuildsDir(), "latest")
	_, err := d.Prune(PruneOptions{Drop: []string{"5"}})
	require.NoError(t, err)
	target, err := os.Readlink(link)
	require.NoError(t, err)
	require.Equal(t, "4", target)

	require.NoError(t, d.UpdateIndex(func(x *Index) error { x.Tags = nil; return nil }))
	_, err = d.Prune(PruneOptions{Drop: []string{"1", "2", "3", "4"}})
	require.NoError(t, err)
	_, err = os.Lstat(link)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestScanKeepsTheOrderOfOneSecond(t *testing.T) {
	t.Parallel()
	d := newDir(t)
	for _, id := range []string{"b", "c", "a"} {
		published(t, d, id)
	}
	_, err := d.Prune(PruneOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"a", "c", "b"}, ids(t, d))
}
