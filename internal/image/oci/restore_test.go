package oci_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/image/oci"
	"github.com/nestos/nosa-actions/internal/ostree"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

func TestRestoreBringsBackWhatACacheHasLost(t *testing.T) {
	testkit.NeedTool(t, "ostree")
	testkit.NeedRoot(t)
	f := newFixture(t, "bare")
	f.export(t)
	repo, err := ostree.OpenCache(t.Context(), tool.Host{}, filepath.Join(t.TempDir(), "repo"), true)
	require.NoError(t, err)
	kept := oci.Archived{Build: "1.0", Commit: f.commit, Archive: f.in.Output}

	require.NoError(t, oci.Restore(t.Context(), tool.Host{}, nil, repo, kept))
	require.True(t, repo.IsWhole(f.commit))
	at, err := repo.Resolve(t.Context(), "1.0")
	require.NoError(t, err)
	require.Equal(t, f.commit, at)
	kept.Archive = "/nothere"
	require.NoError(t, oci.Restore(t.Context(), tool.Host{}, nil, repo, kept), "the archive is not read again")

	t.Log("a commit that is there without its content")
	from := &ostree.Repo{Path: f.repo}
	object, err := from.CommitObject(f.commit)
	require.NoError(t, err)
	partial, err := ostree.OpenCache(t.Context(), tool.Host{}, filepath.Join(t.TempDir(), "repo"), true)
	require.NoError(t, err)
	_, err = partial.AddPartial(object)
	require.NoError(t, err)
	kept.Archive = f.in.Output
	require.NoError(t, oci.Restore(t.Context(), tool.Host{}, nil, partial, kept))
	require.True(t, partial.IsWhole(f.commit))

	t.Log("an archive of something else")
	other, err := ostree.OpenCache(t.Context(), tool.Host{}, filepath.Join(t.TempDir(), "repo"), true)
	require.NoError(t, err)
	kept.Commit = strings.Repeat("0", 64)
	err = oci.Restore(t.Context(), tool.Host{}, nil, other, kept)
	require.ErrorContains(t, err, "bring back the commit of build 1.0: the archive holds "+f.commit)
}
