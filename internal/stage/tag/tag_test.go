package tag_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/stage/tag"
	"github.com/nestos/nosa-actions/internal/workdir"
)

func TestTags(t *testing.T) {
	d, err := workdir.Create(t.TempDir(), arch.X86_64)
	require.NoError(t, err)
	_, err = tag.Update(tag.Options{Workdir: d, Tag: "a"})
	require.ErrorIs(t, err, workdir.ErrNoBuild)
	_, err = tag.Update(tag.Options{Workdir: d, Build: "1", Force: true})
	require.EqualError(t, err, "a tag needs a name")
	require.NoError(t, d.UpdateIndex(func(x *workdir.Index) error { return x.Insert("1", "x86_64") }))

	for _, name := range []string{"a", "b", "c"} {
		_, err := tag.Update(tag.Options{Workdir: d, Tag: name, Description: "of old"})
		require.NoError(t, err)
	}
	set, err := tag.Update(tag.Options{Workdir: d, Tag: "b", Build: "9", Force: true})
	require.NoError(t, err)
	require.NoError(t, tag.Delete(d, "a"))

	index, err := d.Index()
	require.NoError(t, err)
	require.Len(t, index.Tags, 2)
	require.Equal(t, set, index.Tags[0], "a tag is replaced in its place, as a whole")
	require.Equal(t, "9", set.Target)
	require.Empty(t, index.Timestamp, "tags leave the timestamp alone")

	require.NoError(t, tag.DeleteAll(d))
	var out strings.Builder
	require.NoError(t, tag.List(d, &out))
	require.Equal(t, "No tags found\n", out.String())
}
