package workdir

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/testkit"
)

func TestIndexIsMadeEmptyOnFirstUse(t *testing.T) {
	d := newDir(t)
	index, err := d.Index()
	require.NoError(t, err)
	require.Empty(t, index.Builds)
	data, err := os.ReadFile(d.indexPath())
	require.NoError(t, err)
	require.Equal(t, "{\n    \"schema-version\": \"1.0.0\",\n    \"builds\": []\n}\n", string(data))

	_, err = d.Latest()
	require.ErrorIs(t, err, ErrNoBuild)
}

func TestIndexFile(t *testing.T) {
	d := newDir(t)
	published(t, d, "24.03-LTS.20250114.0")
	d.now = func() time.Time { return noon.Add(time.Hour) }
	published(t, d, "24.03-LTS.20250114.1")
	arm := *d
	arm.Arch = arch.AArch64
	_, err := arm.Publish(finished(t, &arm, "24.03-LTS.20250114.0"), "24.03-LTS.20250114.0")
	require.NoError(t, err)
	require.NoError(t, d.UpdateIndex(func(x *Index) error {
		x.Tags = append(x.Tags, Tag{Name: "tested", Created: Timestamp(noon), Target: "24.03-LTS.20250114.0", Description: "a < b & c"})
		return nil
	}))

	data, err := os.ReadFile(d.indexPath())

	require.NoError(t, err)
	testkit.Golden(t, "builds.json", data)
	info, err := os.Stat(d.indexPath())
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode())
}

func TestLatestIsThatOfTheArchitecture(t *testing.T) {
	d := newDir(t)
	published(t, d, "1")
	arm := *d
	arm.Arch = arch.AArch64
	_, err := arm.Publish(finished(t, &arm, "2"), "2")
	require.NoError(t, err)

	latest, err := d.Latest()
	require.NoError(t, err)
	require.Equal(t, "1", latest.ID)
	latest, err = arm.Build("latest")
	require.NoError(t, err)
	require.Equal(t, "2", latest.ID)

	_, err = d.Build("2")
	require.ErrorIs(t, err, ErrNoBuild)
	_, err = d.Build("3")
	require.ErrorIs(t, err, ErrNoBuild)
	require.NoError(t, os.RemoveAll(d.BuildsDir()+"/1/x86_64"))
	_, err = d.Build("1")
	require.EqualError(t, err, "build 1 for x86_64 is listed in builds.json but not here: no such build")
}

func TestInsert(t *testing.T) {
	x := Index{Builds: []Entry{{"b", []string{"x86_64"}}, {"a", []string{"x86_64"}}}}
	require.NoError(t, x.Insert("a", "aarch64"))
	require.NoError(t, x.Insert("c", "aarch64"))
	require.Equal(t, []Entry{
		{"c", []string{"aarch64"}}, {"b", []string{"x86_64"}}, {"a", []string{"x86_64", "aarch64"}},
	}, x.Builds)
	require.EqualError(t, x.Insert("a", "aarch64"), "build a for aarch64 is already in builds.json")
}

func TestParseIndexRefuses(t *testing.T) {
	cases := map[string]struct{ json, want string }{
		"no version":        {`{"builds": []}`, "schema version 0.0.1 is not supported"},
		"a future version":  {`{"schema-version": "2.0.0", "builds": []}`, "schema version 2.0.0 is not supported"},
		"builds of old":     {`{"schema-version": "1.0.0", "builds": ["1"]}`, "cannot unmarshal string"},
		"a path for an id":  {`{"schema-version": "1.0.0", "builds": [{"id": "../x", "arches": []}]}`, `"../x" cannot be a build id`},
		"a hidden id":       {`{"schema-version": "1.0.0", "builds": [{"id": ".x", "arches": []}]}`, `".x" cannot be a build id`},
		"a build twice":     {`{"schema-version": "1.0.0", "builds": [{"id": "1"}, {"id": "1"}]}`, "build 1 is listed twice"},
		"an arch twice":     {`{"schema-version": "1.0.0", "builds": [{"id": "1", "arches": ["a", "a"]}]}`, "repeated architecture"},
		"a tag twice":       {`{"schema-version": "1.0.0", "tags": [{"name": "t", "target": "1"}, {"name": "t", "target": "1"}]}`, "tag t is listed twice"},
		"a nameless tag":    {`{"schema-version": "1.0.0", "tags": [{"target": "1"}]}`, "tag 1 has no name"},
		"what is no object": {`[]`, "cannot unmarshal array"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := parseIndex([]byte(c.json))
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := parseIndex([]byte(`{"schema-version": "1.9.3", "builds": [], "later": true}`))
	require.NoError(t, err)
}

func FuzzParseIndex(f *testing.F) {
	f.Add([]byte(`{"schema-version": "1.0.0", "builds": [{"id": "1", "arches": ["x86_64"]}], "tags": [{"name": "t", "target": "1"}]}`))
	f.Add([]byte(`{"schema-version": "1.0.0", "builds": ["1"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := parseIndex(data)
		if err != nil {
			return
		}
		out, err := x.JSON()
		require.NoError(t, err)
		again, err := parseIndex(out)
		require.NoError(t, err)
		require.Equal(t, len(x.Builds), len(again.Builds))
		for _, e := range x.Builds {
			require.False(t, strings.ContainsAny(e.ID, "/\x00"))
		}
	})
}
