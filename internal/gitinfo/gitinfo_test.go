package gitinfo_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/gitinfo"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// gitEnv keeps the settings of the machine out and the commits the same.
var gitEnv = []string{
	"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
	"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.org",
	"GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.org",
	"GIT_AUTHOR_DATE=2025-01-14T08:00:00Z", "GIT_COMMITTER_DATE=2025-01-14T08:00:00+08:00",
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "git", Args: args, Dir: dir, Env: gitEnv})
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

func write(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
}

// repo makes a repository with one commit on the branch stable.
func repo(t *testing.T) (dir, commit string) {
	t.Helper()
	testkit.NeedTool(t, "git")
	dir = t.TempDir()
	git(t, dir, "init", "-q", "-b", "stable")
	write(t, filepath.Join(dir, "manifest.yaml"), "ref: x\n")
	write(t, filepath.Join(dir, "sub/image.yaml"), "size: 10\n")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "first")
	return dir, git(t, dir, "rev-parse", "HEAD")
}

func TestReadFindsTheStateOfACheckout(t *testing.T) {
	cases := map[string]struct {
		given func(t *testing.T, dir string) (look string)
		want  func(*gitinfo.Info)
	}{
		"a branch without upstream has no origin": {
			given: func(t *testing.T, dir string) string {
				git(t, dir, "remote", "add", "origin", "https://example.org/a.git")
				return dir
			},
		},
		"a branch has the origin of its upstream remote": {
			given: func(t *testing.T, dir string) string {
				git(t, dir, "remote", "add", "origin", "https://example.org/a.git")
				git(t, dir, "remote", "add", "mine", "https://example.org/mine.git")
				git(t, dir, "config", "branch.stable.remote", "mine")
				return dir
			},
			want: func(i *gitinfo.Info) { i.Origin = "https://example.org/mine.git" },
		},
		"a detached checkout has the remote origin": {
			given: func(t *testing.T, dir string) string {
				git(t, dir, "remote", "add", "origin", "https://example.org/a.git")
				git(t, dir, "checkout", "-q", "--detach")
				return dir
			},
			want: func(i *gitinfo.Info) { i.Branch, i.Origin = "HEAD", "https://example.org/a.git" },
		},
		"a detached checkout without remote": {
			given: func(t *testing.T, dir string) string {
				git(t, dir, "checkout", "-q", "--detach")
				return dir
			},
			want: func(i *gitinfo.Info) { i.Branch = "HEAD" },
		},
		"a token in the URL does not get out": {
			given: func(t *testing.T, dir string) string {
				git(t, dir, "remote", "add", "origin", "https://ci:s3cret@example.org/a.git")
				git(t, dir, "config", "branch.stable.remote", "origin")
				return dir
			},
			want: func(i *gitinfo.Info) { i.Origin = "https://example.org/a.git" },
		},
		"a changed file makes it dirty": {
			given: func(t *testing.T, dir string) string {
				write(t, filepath.Join(dir, "manifest.yaml"), "ref: y\n")
				return dir
			},
			want: func(i *gitinfo.Info) { i.Dirty = true },
		},
		"a removed file makes it dirty": {
			given: func(t *testing.T, dir string) string {
				require.NoError(t, os.Remove(filepath.Join(dir, "manifest.yaml")))
				return dir
			},
			want: func(i *gitinfo.Info) { i.Dirty = true },
		},
		"a touched or an untracked file does not": {
			given: func(t *testing.T, dir string) string {
				later := time.Now().Add(time.Hour)
				require.NoError(t, os.Chtimes(filepath.Join(dir, "manifest.yaml"), later, later))
				write(t, filepath.Join(dir, "new.yaml"), "")
				return dir
			},
		},
		"a subdirectory through a link": {
			given: func(t *testing.T, dir string) string {
				link := filepath.Join(t.TempDir(), "config")
				require.NoError(t, os.Symlink(filepath.Join(dir, "sub"), link))
				return link
			},
		},
		"a tag shows in the description": {
			given: func(t *testing.T, dir string) string {
				git(t, dir, "tag", "v1")
				return dir
			},
			want: func(i *gitinfo.Info) { i.Describe = "v1" },
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir, commit := repo(t)
			look := c.given(t, dir)
			want := gitinfo.Info{
				Commit: commit, Describe: commit, Branch: "stable", Origin: "unknown",
				Time: time.Date(2025, 1, 14, 0, 0, 0, 0, time.UTC),
			}
			if c.want != nil {
				c.want(&want)
			}

			got, err := gitinfo.Read(t.Context(), tool.Host{}, look)

			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

func TestReadOfAShallowCloneNamesHead(t *testing.T) {
	dir, _ := repo(t)
	git(t, dir, "commit", "-q", "--allow-empty", "-m", "second")
	clone := filepath.Join(t.TempDir(), "clone")
	git(t, dir, "clone", "-q", "--depth=1", "file://"+dir, clone)

	got, err := gitinfo.Read(t.Context(), tool.Host{}, clone)

	require.NoError(t, err)
	require.Equal(t, "HEAD", got.Branch)
	require.Equal(t, "file://"+dir, got.Origin)
	require.Equal(t, git(t, dir, "rev-parse", "HEAD"), got.Commit)
}

func TestReadOutsideOfGit(t *testing.T) {
	dir, _ := repo(t)
	ignored := filepath.Join(dir, "work/src/config")
	write(t, filepath.Join(ignored, "manifest.yaml"), "")
	empty := t.TempDir()
	git(t, empty, "init", "-q")
	write(t, filepath.Join(empty, "manifest.yaml"), "")
	git(t, empty, "add", ".")

	for name, path := range map[string]string{
		"a plain directory":               t.TempDir(),
		"untracked in a foreign checkout": ignored,
		"a repository without a commit":   empty,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := gitinfo.Read(t.Context(), tool.Host{}, path)
			require.ErrorIs(t, err, gitinfo.ErrNoRepo)
		})
	}
	_, err := gitinfo.Read(t.Context(), tool.Host{}, filepath.Join(dir, "absent"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// The checkout of a CI job often belongs to another user than the one we run as.
func TestReadWorksInSomebodyElsesCheckout(t *testing.T) {
	testkit.NeedRoot(t)
	dir, commit := repo(t)
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, 12345, 12345)
	}))

	got, err := gitinfo.Read(t.Context(), tool.Host{}, dir)

	require.NoError(t, err)
	require.Equal(t, commit, got.Commit)
}

func TestReadDoesNotRunWhatTheRepositorySays(t *testing.T) {
	dir, _ := repo(t)
	trap := filepath.Join(dir, "ran")
	hook := filepath.Join(t.TempDir(), "hook")
	require.NoError(t, os.WriteFile(hook, []byte("#!/bin/sh\ntouch "+trap+"\n"), 0o755))
	git(t, dir, "config", "core.fsmonitor", hook)
	git(t, dir, "config", "diff.external", hook)
	write(t, filepath.Join(dir, "manifest.yaml"), "changed\n")

	_, err := gitinfo.Read(t.Context(), tool.Host{}, dir)

	require.NoError(t, err)
	require.NoFileExists(t, trap)
}

func TestReadStopsWithItsContext(t *testing.T) {
	dir, _ := repo(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	_, err := gitinfo.Read(ctx, tool.Host{}, dir)

	require.ErrorIs(t, err, context.Canceled)
}

func TestGitLeavesOutABranchThatTheSchemaRefuses(t *testing.T) {
	info := gitinfo.Info{Commit: "0123456", Origin: "unknown", Branch: "el", Dirty: true}
	require.Equal(t, gitinfo.Git{Commit: "0123456", Origin: "unknown", Dirty: "true"}, info.Git())
}
