package workdir

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// object reads JSON as a record is read.
func plain(t *testing.T, text string) map[string]any {
	t.Helper()
	o, err := decodeObject([]byte(text))
	require.NoError(t, err)
	return o
}

func TestMergeMeta(t *testing.T) {
	const stamp = `"coreos-assembler.meta-stamp"`
	cases := map[string]struct{ disk, memory, want, fault string }{
		"nothing on the disk": {
			disk: `{}`, memory: `{"name": "a"}`, want: `{"name": "a", ` + stamp + `: 100}`,
		},
		"equal stamps take memory whole, deletions too": {
			disk:   `{"name": "a", "gone": 1, ` + stamp + `: 7}`,
			memory: `{"name": "b", ` + stamp + `: 7}`,
			want:   `{"name": "b", ` + stamp + `: 100}`,
		},
		"a newer disk wins conflicts and keeps what memory added": {
			disk:   `{"name": "disk", "images": {"metal": {"size": 1}}, ` + stamp + `: 9}`,
			memory: `{"name": "memory", "images": {"qemu": {"size": 2}, "metal": {"size": 3}}, "ref": "r", ` + stamp + `: 7}`,
			want:   `{"name": "disk", "images": {"metal": {"size": 1}, "qemu": {"size": 2}}, "ref": "r", ` + stamp + `: 100}`,
		},
		"a newer memory wins": {
			disk:   `{"name": "disk", "only": true, ` + stamp + `: 7}`,
			memory: `{"name": "memory", ` + stamp + `: 9}`,
			want:   `{"name": "memory", "only": true, ` + stamp + `: 100}`,
		},
		"lists: the newer items, then the older ones not among them": {
			disk:   `{"amis": [{"id": 1}, {"id": 2}, {"id": 3}], ` + stamp + `: 7}`,
			memory: `{"amis": [{"id": 4}, {"id": 2}], ` + stamp + `: 9}`,
			want:   `{"amis": [{"id": 4}, {"id": 2}, {"id": 1}, {"id": 3}], ` + stamp + `: 100}`,
		},
		"different types: the newer": {
			disk:   `{"x": {"a": 1}, "y": [1], ` + stamp + `: 9}`,
			memory: `{"x": [1], "y": {"a": 1}, ` + stamp + `: 7}`,
			want:   `{"x": {"a": 1}, "y": [1], ` + stamp + `: 100}`,
		},
		"the stamp never goes back": {
			disk: `{` + stamp + `: 500}`, memory: `{` + stamp + `: 7}`, want: `{` + stamp + `: 501}`,
		},
		"another commit": {
			disk: `{"ostree-commit": "a"}`, memory: `{"ostree-commit": "b"}`,
			fault: "unable to merge: ostree-commit is a on the disk and b here",
		},
		"no commit": {
			disk: `{"ostree-commit": "a"}`, memory: `{}`,
			fault: "unable to merge: ostree-commit is a on the disk and absent here",
		},
		"another content":      {disk: `{"ostree-content-checksum": "a"}`, memory: `{}`, fault: "unable to merge: ostree-content-checksum"},
		"another image config": {disk: `{"coreos-assembler.image-config-checksum": "a"}`, memory: `{}`, fault: "unable to merge: coreos-assembler.image-config-checksum"},
		"another config commit": {
			disk:   `{"coreos-assembler.container-config-git": {"commit": "a"}}`,
			memory: `{"coreos-assembler.container-config-git": {"commit": "b"}}`,
			fault:  "unable to merge: coreos-assembler.container-config-git.commit",
		},
		"a commit that only memory knows": {
			disk: `{}`, memory: `{"ostree-commit": "a"}`, want: `{"ostree-commit": "a", ` + stamp + `: 100}`,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := mergeMeta(plain(t, c.disk), plain(t, c.memory), 100)
			if c.fault != "" {
				require.ErrorIs(t, err, errMerge)
				require.ErrorContains(t, err, c.fault)
				return
			}
			require.NoError(t, err)
			require.Equal(t, plain(t, c.want), got)
		})
	}
}

func TestMergeKeepsWhatAnotherStageWrote(t *testing.T) {
	b := published(t, newDir(t), "1")
	ours, theirs := must(b.Meta()), must(b.Meta())
	addImage(t, b.Dir, ours, "qemu", "q")
	addImage(t, b.Dir, theirs, "metal", "m")

	require.NoError(t, b.Merge("metal", theirs))
	require.NoError(t, b.Merge("qemu", ours))

	require.Contains(t, ours.Images, "metal", "the caller's view is the merged one")
	got := must(b.Meta())
	require.Len(t, got.Images, 3)

	delete(got.Images, "metal")
	require.NoError(t, b.Merge("", got))
	require.NotContains(t, must(b.Meta()).Images, "metal", "nobody wrote in between, so a deletion stays")
}

func TestMergeRefusesAnotherBuild(t *testing.T) {
	b := published(t, newDir(t), "1")
	before, err := os.ReadFile(b.Path("meta.json"))
	require.NoError(t, err)
	m := must(b.Meta())
	m.OSTreeCommit = m.OSTreeContentChecksum

	require.ErrorIs(t, b.Merge("qemu", m), errMerge)

	after, err := os.ReadFile(b.Path("meta.json"))
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
}

func delayedBuild(t *testing.T) Build {
	d := newDir(t)
	m := sample("1")
	m.DelayedMetaMerge = new(true)
	b, err := d.Publish(finishedAs(t, d, m), "1")
	require.NoError(t, err)
	return b
}

func TestDelayedMergeAndFinalize(t *testing.T) {
	b := delayedBuild(t)
	before := must(os.ReadFile(b.Path("meta.json")))
	for _, name := range []string{"qemu", "metal"} {
		m := must(b.ArtifactMeta(name))
		addImage(t, b.Dir, m, name, name)
		require.NoError(t, b.Merge(name, m))
	}
	require.Equal(t, string(before), string(must(os.ReadFile(b.Path("meta.json")))))
	require.FileExists(t, b.Path("meta.qemu.json"))
	require.NotContains(t, must(b.Meta()).Images, "qemu")
	require.NotContains(t, must(b.ArtifactMeta("metal")).Images, "qemu")
	require.Contains(t, must(b.ArtifactMeta("metal")).Images, "metal")
	require.Len(t, must(b.View()).Images, 3)
	_, path, err := b.Image("qemu")
	require.NoError(t, err)
	require.FileExists(t, path)

	qemu, metal := must(b.ArtifactMeta("qemu")), must(b.ArtifactMeta("metal"))
	require.NoError(t, b.Edit(metal, func(o map[string]any) error { o["build-url"] = "older"; return nil }))
	require.NoError(t, b.Edit(qemu, func(o map[string]any) error { o["build-url"] = "newer"; return nil }))
	require.NoError(t, b.Merge("metal", metal))
	require.NoError(t, b.Merge("qemu", qemu))
	require.JSONEq(t, `"newer"`, string(must(b.View()).Extra["build-url"]))

	merged, delayed, err := b.Finalize(true)
	require.NoError(t, err)
	require.True(t, delayed)
	require.Equal(t, []string{"meta.qemu.json", "meta.metal.json"}, merged)
	require.FileExists(t, b.Path("meta.qemu.json"))
	require.JSONEq(t, `"newer"`, string(must(b.Meta()).Extra["build-url"]))

	_, _, err = b.Finalize(false)
	require.NoError(t, err)
	require.NoFileExists(t, b.Path("meta.qemu.json"))
	require.Len(t, must(b.Meta()).Images, 3)
}

func TestFinalizeWithoutDelayDoesNothing(t *testing.T) {
	b := published(t, newDir(t), "1")
	merged, delayed, err := b.Finalize(false)
	require.NoError(t, err)
	require.False(t, delayed)
	require.Empty(t, merged)
}

func TestFinalizeStopsAtWhatBelongsElsewhere(t *testing.T) {
	b := delayedBuild(t)
	m := must(b.Meta())
	m.OSTreeCommit = m.OSTreeContentChecksum
	require.NoError(t, b.Merge("qemu", m))

	_, _, err := b.Finalize(false)

	require.ErrorIs(t, err, errMerge)
	require.ErrorContains(t, err, "meta.qemu.json")
	require.FileExists(t, b.Path("meta.qemu.json"))
}

func TestDelayedMergeWithoutAnArtifactTakesANumber(t *testing.T) {
	b := delayedBuild(t)
	require.NoError(t, b.Merge("", must(b.Meta())))
	later, err := b.delayed()
	require.NoError(t, err)
	require.Len(t, later, 1)
	require.Regexp(t, `^meta\.\d{19}\.json$`, later[0].name)
	require.Error(t, b.Merge("../x", must(b.Meta())))
}

func TestEditChecksAndLeavesMetaAloneOnFaults(t *testing.T) {
	b := published(t, newDir(t), "1")
	m := must(b.Meta())
	err := b.Edit(m, func(o map[string]any) error { o["buildid"] = "2"; o["bad"] = "x"; return nil })
	require.ErrorContains(t, err, `unknown key "bad"`)
	require.Equal(t, "1", m.BuildID)
	require.Error(t, b.Edit(m, func(map[string]any) error { return fmt.Errorf("no") }))
	require.NoError(t, b.Edit(m, func(o map[string]any) error { o["build-url"] = "u"; return nil }))
	require.JSONEq(t, `"u"`, string(m.Extra["build-url"]))
}
