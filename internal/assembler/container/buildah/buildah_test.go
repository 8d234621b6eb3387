package buildah_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/assembler/container"
	"github.com/nestos/nosa-actions/internal/assembler/container/buildah"
	"github.com/nestos/nosa-actions/internal/assembler/container/enginetest"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

func engine(root string, p enginetest.Programs) container.Engine {
	return &buildah.Engine{Runner: tool.Host{}, Program: p.Container, Init: p.Init, Root: root, Log: io.Discard, HTTP: true}
}

func TestMain(m *testing.M) { enginetest.Main(m, engine) }

func pull(t *testing.T, e container.Engine, text string) (container.Image, error) {
	ref, err := container.ParseReference(text)
	require.NoError(t, err)
	return e.Pull(t.Context(), ref)
}

func TestALoginGoesToTheRegistryAlone(t *testing.T) {
	testkit.NeedRoot(t)
	hub := enginetest.Registry(t, "nosa", "s3cret-password")
	hub.Push(t, "v1", enginetest.Busybox(t, "env"))
	root := t.TempDir()
	e := engine(root, enginetest.Build(t)).(*buildah.Engine)

	_, err := pull(t, e, hub.Host+"/nosa/assembler:v1")
	require.ErrorContains(t, err, "authentication required")

	e.Login = &buildah.Login{User: "nosa", Password: "s3cret-password"}
	_, err = pull(t, e, hub.Host+"/nosa/assembler:v1")
	require.NoError(t, err)

	e.Login, e.Root = nil, t.TempDir()
	home := t.TempDir()
	t.Setenv("DOCKER_CONFIG", home)
	text := `{"auths":{"` + hub.Host + `":{"auth":"` + base64.StdEncoding.EncodeToString([]byte("nosa:s3cret-password")) + `"}}}`
	require.NoError(t, os.WriteFile(filepath.Join(home, "config.json"), []byte(text), 0o600))
	_, err = pull(t, e, hub.Host+"/nosa/assembler:v1")
	require.NoError(t, err, "the login that docker keeps")
	left, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "grep", Args: []string{"-rlE", "s3cret-password|" + base64.StdEncoding.EncodeToString([]byte("nosa:s3cret-password")), root, e.Root}})
	require.Error(t, err, "grep finds nothing")
	require.Empty(t, string(left))
}

func TestTheNextStartSweepsWhatAKillLeft(t *testing.T) {
	testkit.NeedRoot(t)
	testkit.NeedTool(t, "runc")
	root := t.TempDir()
	programs := enginetest.Build(t)
	e := engine(root, programs)
	image, err := pull(t, e, "oci-archive:"+enginetest.Archive(t, enginetest.Busybox(t, "")))
	require.NoError(t, err)
	enginetest.KillOne(t, root, programs, image)
	dead, err := os.ReadDir(filepath.Join(root, "run"))
	require.NoError(t, err)
	require.Len(t, dead, 1, "a killed run leaves files")
	records, err := filepath.Glob(filepath.Join(root, "graph/overlay-containers/*/userdata"))
	require.NoError(t, err)
	require.Len(t, records, 1)

	require.NoError(t, e.Run(t.Context(), container.RunSpec{Image: image, Command: []string{"true"}}))

	left, err := os.ReadDir(filepath.Join(root, "run"))
	require.NoError(t, err)
	require.Empty(t, left)
	groups, err := filepath.Glob("/sys/fs/cgroup/*/nosa/" + dead[0].Name())
	require.NoError(t, err)
	require.Empty(t, groups)
	records, err = filepath.Glob(filepath.Join(root, "graph/overlay-containers/*/userdata"))
	require.NoError(t, err)
	require.Empty(t, records)
}

func TestBuildGivesTheSameImageTwice(t *testing.T) {
	testkit.NeedRoot(t)
	testkit.NeedTool(t, "runc", "busybox")
	e := engine(t.TempDir(), enginetest.Build(t))
	dir := t.TempDir()
	busybox, err := tool.Look("busybox")
	require.NoError(t, err)
	text, err := os.ReadFile(busybox)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "busybox"), text, 0o755))
	file := filepath.Join(dir, "Containerfile")
	require.NoError(t, os.WriteFile(file, []byte("FROM scratch\nARG WORD\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\nRUN [\"/bin/busybox\", \"touch\", \"/made\"]\nLABEL word=$WORD\nENTRYPOINT [\"/bin/busybox\"]\n"), 0o644))
	var digests []string
	for _, name := range []string{"a.tar", "b.tar"} {
		output := filepath.Join(t.TempDir(), name)
		image, err := e.Build(t.Context(), container.BuildSpec{
			Containerfile: file, Context: dir, Args: map[string]string{"WORD": "hello"}, Labels: map[string]string{"b": "2", "a": "1"},
			Epoch: time.Unix(1700000000, 0), Output: output, Offline: true,
		})
		require.NoError(t, err)
		require.Equal(t, []string{"/bin/busybox"}, image.Config.Entrypoint)
		d, err := container.LayoutDigest(container.Reference{Transport: container.OCIArchive, Name: output})
		require.NoError(t, err)
		digests = append(digests, d.String())
		var out bytes.Buffer
		require.NoError(t, e.Run(t.Context(), container.RunSpec{Image: image, Command: []string{"/bin/busybox", "ls", "/made"}, Stdout: &out}))
		require.Equal(t, "/made\n", out.String())
	}
	require.Equal(t, digests[0], digests[1])

	require.NoError(t, os.WriteFile(file, []byte("FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"sh\", \"-c\", \"exit 5\"]\n"), 0o644))
	_, err = e.Build(t.Context(), container.BuildSpec{Containerfile: file, Context: dir, Offline: true})
	require.ErrorContains(t, err, "exit status 5")
}

func TestConformance(t *testing.T) {
	testkit.NeedTool(t, "runc")
	enginetest.Conformance(t, engine)
}
