package workdir

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPublishMovesAndSeals(t *testing.T) {
	t.Parallel()
	d := newDir(t)
	tmp := finished(t, d, "1")
	require.NoError(t, os.MkdirAll(filepath.Join(tmp, "tmp/rootfs"), 0o755))

	b, err := d.Publish(tmp, "1")

	require.NoError(t, err)
	require.Equal(t, filepath.Join(d.Path, "builds/1/x86_64"), b.Dir)
	require.NoDirExists(t, tmp)
	require.NoDirExists(t, b.Path("tmp"))
	require.DirExists(t, filepath.Join(d.Tmp(), "last-build-tmp/rootfs"))
	require.NoFileExists(t, d.guardPath())
	for name, want := range map[string]os.FileMode{
		"ostree-commit-object": 0o444, "nestos-1-ostree.x86_64.ociarchive": 0o444, "meta.json": 0o644,
	} {
		info, err := os.Stat(b.Path(name))
		require.NoError(t, err)
		require.Equal(t, want, info.Mode(), name)
	}
	link, err := os.Readlink(filepath.Join(d.BuildsDir(), "latest"))
	require.NoError(t, err)
	require.Equal(t, "1", link)
	require.Equal(t, []string{"1"}, ids(t, d))
}

func TestPublishRefusesWhatIsNotWhole(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		spoil func(t *testing.T, d *Dir, tmp string) (id string)
		want  string
	}{
		"no metadata": {
			func(t *testing.T, _ *Dir, tmp string) string {
				require.NoError(t, os.Remove(filepath.Join(tmp, "meta.json")))
				return "1"
			}, "meta.json: no such file",
		},
		"metadata of another build": {
			func(*testing.T, *Dir, string) string { return "2" }, `its meta.json is that of build "1"`,
		},
		"an artifact is missing": {
			func(t *testing.T, _ *Dir, tmp string) string {
				require.NoError(t, os.Remove(filepath.Join(tmp, "nestos-1-ostree.x86_64.ociarchive")))
				return "1"
			}, "artifact ostree: ",
		},
		"an artifact is cut short": {
			func(t *testing.T, _ *Dir, tmp string) string {
				require.NoError(t, os.Truncate(filepath.Join(tmp, "nestos-1-ostree.x86_64.ociarchive"), 3))
				return "1"
			}, "has 3 bytes and not 12",
		},
		"a bad id": {
			func(*testing.T, *Dir, string) string { return "../1" }, "cannot be a build id",
		},
		"a build of that id": {
			func(t *testing.T, d *Dir, _ string) string { published(t, d, "1"); return "1" }, "is already in builds.json",
		},
		"a directory in the way": {
			func(t *testing.T, d *Dir, _ string) string {
				require.NoError(t, os.MkdirAll(filepath.Join(d.BuildsDir(), "1/x86_64"), 0o755))
				return "1"
			}, "is in the way",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDir(t)
			tmp := finished(t, d, "1")
			id := c.spoil(t, d, tmp)
			before := ids(t, d)

			_, err := d.Publish(tmp, id)

			require.ErrorContains(t, err, c.want)
			require.Equal(t, before, ids(t, d))
			require.DirExists(t, tmp)
			require.NoFileExists(t, d.guardPath())
		})
	}
}

// A publication stops after each of its steps in turn; the next Open must leave
// either the old state or the whole new one.
func TestOpenSettlesAPublicationThatStopped(t *testing.T) {
	t.Parallel()
	steps := len(newDir(t).publishSteps("", Build{}))
	moved := 3 // steps before the build's directory has its name
	for done := range steps + 1 {
		t.Run(fmt.Sprintf("after %d steps", done), func(t *testing.T) {
			t.Parallel()
			d := newDir(t)
			published(t, d, "1")
			tmp := finished(t, d, "2")
			require.NoError(t, d.seal(tmp, "2"))
			for _, step := range d.publishSteps(tmp, d.build("2", d.Arch))[:done] {
				require.NoError(t, step())
			}
			requireSound(t, d)

			again, err := Open(d.Path, d.Arch)

			require.NoError(t, err)
			requireSound(t, again)
			require.NoFileExists(t, d.guardPath())
			want, latest := []string{"1"}, "1"
			if done > moved {
				want, latest = []string{"2", "1"}, "2"
			}
			require.Equal(t, want, ids(t, again))
			link, err := os.Readlink(filepath.Join(d.BuildsDir(), "latest"))
			require.NoError(t, err)
			require.Equal(t, latest, link)
			if done <= moved {
				require.NoDirExists(t, filepath.Join(d.BuildsDir(), "2"))
				_, err := again.Publish(tmp, "2")
				require.NoError(t, err, "the build can be published again")
			}
		})
	}
}

// requireSound checks that builds.json names whole builds only.
func requireSound(t *testing.T, d *Dir) {
	t.Helper()
	index, err := d.Index()
	require.NoError(t, err)
	for _, e := range index.Builds {
		for _, b := range must(d.Arches(e.ID)) {
			m, err := b.Meta()
			require.NoError(t, err)
			require.Equal(t, e.ID, m.BuildID)
			for _, image := range m.Images {
				require.FileExists(t, b.Path(image.Path))
			}
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestOpenSetsABrokenBuildAside(t *testing.T) {
	t.Parallel()
	d := newDir(t)
	b := d.build("1", d.Arch)
	require.NoError(t, d.writeGuard(b))
	require.NoError(t, os.MkdirAll(b.Dir, 0o755))
	require.NoError(t, os.WriteFile(b.Path("meta.json"), []byte("{"), 0o644))

	_, err := Open(d.Path, d.Arch)

	require.NoError(t, err)
	require.NoDirExists(t, filepath.Join(d.BuildsDir(), "1"))
	require.Empty(t, ids(t, d))
	aside, err := filepath.Glob(filepath.Join(d.Tmp(), "broken-build-*/x86_64/meta.json"))
	require.NoError(t, err)
	require.Len(t, aside, 1)
}

func TestOpenAcceptsAGuardOfUpstream(t *testing.T) {
	t.Parallel()
	d := newDir(t)
	published(t, d, "1")
	require.NoError(t, os.WriteFile(d.guardPath(), nil, 0o644))
	_, err := Open(d.Path, d.Arch)
	require.NoError(t, err)
	require.NoFileExists(t, d.guardPath())
}
