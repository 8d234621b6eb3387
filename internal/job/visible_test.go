package job

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTokensAreTakenOutOfGitConfigurations(t *testing.T) {
	const config = "[core]\n\tbare = false\n[remote \"origin\"]\n\turl = https://example.org/a\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n"
	const secrets = `[http "https://example.org/"]
	extraheader = AUTHORIZATION: basic SECRET
[http] extraheader = AUTHORIZATION: basic SECRET
[http "https://proxy.example.org/"]
	proxy = http://me:SECRET@proxy
[remote "x"]
	pushurl = https://me:SECRET@example.org/a
	url = https://SECRET@example.org/a
[url "https://x-access-token:SECRET@example.org/"]
	insteadOf = https://example.org/
[remote "y"] url = https://SECRET@example.org/a
	url = "https://me:SECRET@example.org/a"
	url = https://me:\
SECRET@example.org/a
[credential]
	helper = store
	username = SECRET
[includeIf "gitdir:/x"]
	path = /runner/temp/SECRET.config
[alias]
	x = !echo SECRET
`
	require.Equal(t, config, withoutSecrets(config))
	require.Equal(t, config+"[remote \"x\"]\n\tpushurl = https://example.org/a\n\turl = https://example.org/a\n[remote \"y\"]\n", withoutSecrets(config+secrets))
}

// What an input names may be a file, which has no repository in it.
func TestAFileHasNoGitConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.ign")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	mounts, err := (&Job{temp: t.TempDir()}).withoutTokens(file)
	require.NoError(t, err)
	require.Empty(t, mounts)
}

// A config is a stranger's in a pull request: it decides on .repo files, and must
// not get at the rest of the runner's disk through them.
func TestAConfigSeesOnlyTheWorkspace(t *testing.T) {
	root := t.TempDir()
	workspace := filepath.Join(root, "workspace")
	config := filepath.Join(workspace, "checkout", "config")
	for _, dir := range []string{config, workspace + "/checkout/.git", workspace + "/pool", root + "/private", workspace + "/temp/nosa"} {
		require.NoError(t, os.MkdirAll(dir, 0o755))
	}
	require.NoError(t, os.Symlink(root+"/private", workspace+"/link"))
	require.NoError(t, os.WriteFile(config+"/a.repo", []byte("[a]\nbaseurl = file://"+workspace+"/pool, file://"+root+"/private\n"+
		"[b]\nbaseurl=file://"+workspace+"/link\n[c]\nbaseurl=file://"+workspace+"/nothing\n[d]\nbaseurl=file:///\n[e]\nbaseurl=file://"+workspace+"/temp/nosa\n"), 0o644))
	j := &Job{workspace: workspace, Config: config, Workdir: workspace + "/temp/nosa"}

	show, err := j.visible(Inputs{})

	require.NoError(t, err)
	require.Equal(t, []string{workspace + "/checkout", config, workspace + "/pool"}, show)

	show, err = j.visible(Inputs{Paths: []Path{{Path: "more/a.ign"}, {Path: "/etc/b.ign"}}})

	require.NoError(t, err)
	require.Equal(t, []string{"/etc/b.ign", workspace + "/checkout", config, workspace + "/more/a.ign", workspace + "/pool"}, show,
		"what the workflow names is seen, whatever the config says")
}
