package publish

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/format/streammeta"
	"github.com/nestos/nosa-actions/internal/release"
	"github.com/nestos/nosa-actions/internal/release/publish/githubtest"
)

// earlier is a release as an earlier run left it.
func earlier(tag string, prerelease bool, assets ...string) githubtest.Release {
	r := githubtest.Release{Tag: tag, Name: tag, Target: "main", Prerelease: prerelease}
	for _, name := range assets {
		content := []byte("content of " + name + " in " + tag)
		sum := sha256.Sum256(content)
		r.Assets = append(r.Assets, githubtest.Asset{
			Name: name, State: "uploaded", ContentType: "application/json", Size: int64(len(content)),
			SHA256: hex.EncodeToString(sum[:]), Content: content,
		})
	}
	return r
}

func isMeta(name string) bool { return strings.HasPrefix(name, "commitmeta.") }

func TestTheReleaseBefore(t *testing.T) {
	s := githubtest.New(t, githubtest.Options{})
	s.Add(earlier("v0.1", false, "commitmeta.x86_64.json", "commitmeta.aarch64.json", "os.img"))
	s.Add(earlier("v0.2-rc1", true, "commitmeta.x86_64.json"))
	s.Add(earlier("docs-only", false, "manual.pdf"))
	s.Add(earlier("v1", false, "commitmeta.x86_64.json"))
	s.Add(earlier("v2", false, "commitmeta.x86_64.json"))
	cfg := Config{BaseURL: s.URL, Token: githubtest.Token}
	for name, c := range map[string]struct {
		tag        string
		prerelease bool
		want       string
		files      []string
	}{
		"of a new one":           {"v3", false, "v2", []string{"commitmeta.x86_64.json"}},
		"of one published later": {"v1", false, "v0.1", []string{"commitmeta.aarch64.json", "commitmeta.x86_64.json"}},
		"of a prerelease":        {"v1", true, "v0.2-rc1", []string{"commitmeta.x86_64.json"}},
		"of the first one":       {"v0.1", false, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()

			tag, err := FetchEarlier(t.Context(), nil, cfg, release.Plan{Owner: "nestos", Repo: "demo", Tag: c.tag, Prerelease: c.prerelease}, isMeta, dir)

			require.NoError(t, err)
			require.Equal(t, c.want, tag)
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			var files []string
			for _, e := range entries {
				files = append(files, e.Name())
				data, err := os.ReadFile(filepath.Join(dir, e.Name()))
				require.NoError(t, err)
				require.Equal(t, "content of "+e.Name()+" in "+c.want, string(data))
			}
			require.Equal(t, c.files, files)
		})
	}
}

func TestOldPrereleasesGo(t *testing.T) {
	s := githubtest.New(t, githubtest.Options{})
	s.Add(earlier("a-rc1", true, streammeta.AssetsName))
	s.Add(earlier("by-hand", true, "other.zip"))
	s.Add(earlier("a", false, streammeta.AssetsName))
	s.Add(earlier("b-rc1", true, streammeta.AssetsName))
	s.Add(earlier("b-rc2", true, streammeta.AssetsName))
	draft := earlier("draft", true, streammeta.AssetsName)
	draft.Draft = true
	s.Add(draft)
	cfg := Config{BaseURL: s.URL, Token: githubtest.Token}
	plan := release.Plan{Owner: "nestos", Repo: "demo", Tag: "b-rc2", Prerelease: true}

	removed, err := Retain(t.Context(), nil, cfg, plan, 1)

	require.NoError(t, err)
	require.Equal(t, []string{"b-rc1", "a-rc1"}, removed)
	var left []string
	for _, r := range s.Releases() {
		left = append(left, r.Tag)
	}
	require.Equal(t, []string{"by-hand", "a", "b-rc2", "draft"}, left)
	removed, err = Retain(t.Context(), nil, cfg, plan, 1)
	require.NoError(t, err)
	require.Empty(t, removed)
}
