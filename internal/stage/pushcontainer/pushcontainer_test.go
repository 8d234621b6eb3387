package pushcontainer_test

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/format/ostreerepo/repotest"
	"github.com/nestos/nosa-actions/internal/image/oci"
	"github.com/nestos/nosa-actions/internal/image/oci/ocitest"
	"github.com/nestos/nosa-actions/internal/stage/pushcontainer"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// twoArches is a work directory, seen from x86_64, with one build for two
// architectures.
func twoArches(t *testing.T) *workdir.Dir {
	testkit.NeedTool(t, "ostree")
	path := t.TempDir()
	var dir *workdir.Dir
	for _, a := range []arch.Arch{arch.AArch64, arch.X86_64} {
		var err error
		dir, err = workdir.Create(path, a)
		require.NoError(t, err)
		tree := repotest.Tree(t)
		require.NoError(t, os.WriteFile(filepath.Join(tree, "machine"), []byte(a.RPM), 0o644))
		ocitest.Publish(t, dir, "24.03.1", tree)
	}
	return dir
}

func startRegistry(t *testing.T) string {
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	for _, name := range []string{"HOME", "XDG_RUNTIME_DIR", "DOCKER_CONFIG"} {
		t.Setenv(name, t.TempDir())
	}
	t.Setenv("REGISTRY_AUTH_FILE", "")
	return strings.TrimPrefix(s.URL, "http://")
}

func push(t *testing.T, dir *workdir.Dir, o pushcontainer.Options) pushcontainer.Result {
	o.NoTLSVerify = true
	result, err := pushcontainer.Run(t.Context(), tool.Host{}, nil, dir, o)
	require.NoError(t, err)
	return result
}

// record is what meta.json of an architecture says about the container.
func record(t *testing.T, dir *workdir.Dir, rpmArch string) workdir.Container {
	m, err := workdir.ReadMeta(filepath.Join(dir.BuildsDir(), "24.03.1", rpmArch))
	require.NoError(t, err)
	require.NotNil(t, m.BaseOSContainer)
	return *m.BaseOSContainer
}

func TestThePushIsRecorded(t *testing.T) {
	dir, host := twoArches(t), startRegistry(t)

	result := push(t, dir, pushcontainer.Options{Name: host + "/team/os"})

	require.Equal(t, host+"/team/os:24.03.1-x86_64", result.Reference)
	want := workdir.Container{Image: host + "/team/os", Digest: result.Digest, Tags: []string{"24.03.1-x86_64"}}
	require.Equal(t, want, record(t, dir, "x86_64"))
	for range 2 {
		push(t, dir, pushcontainer.Options{Name: host + "/team/os:stable"})
		want.Tags = []string{"stable", "24.03.1-x86_64"}
		require.Equal(t, want, record(t, dir, "x86_64"))
	}
	other, err := workdir.ReadMeta(filepath.Join(dir.BuildsDir(), "24.03.1", "aarch64"))
	require.NoError(t, err)
	require.Nil(t, other.BaseOSContainer)
}

func TestReferences(t *testing.T) {
	dir, host := twoArches(t), startRegistry(t)
	for want, o := range map[string]pushcontainer.Options{
		"/os:stable":             {Name: host + "/os:stable"},
		"/ns/os:24.03.1-x86_64":  {Name: "os", Repo: host + "/ns"},
		"/ns/os:1":               {Name: "os:1", Repo: host + "/ns/"},
		"/os:24.03.1-x86_64-rc1": {Name: host + "/os", TagSuffix: "rc1"},
		"/all:24.03.1":           {Name: host + "/all", Index: true},
	} {
		require.Equal(t, host+want, push(t, dir, o).Reference)
	}
}

func TestAnIndexRecordsTheImageOfEachArchitecture(t *testing.T) {
	testkit.NeedTool(t, "skopeo")
	dir, host := twoArches(t), startRegistry(t)

	result := push(t, dir, pushcontainer.Options{Name: host + "/os", Index: true})

	for rpmArch, machine := range map[string]string{"x86_64": "amd64", "aarch64": "arm64"} {
		got := record(t, dir, rpmArch)
		require.NotEqual(t, result.Digest, got.Digest)
		out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "skopeo", Args: []string{
			"inspect", "--tls-verify=false", "--override-arch=" + machine, "docker://" + result.Reference,
		}})
		require.NoError(t, err)
		m, err := workdir.ReadMeta(filepath.Join(dir.BuildsDir(), "24.03.1", rpmArch))
		require.NoError(t, err)
		require.Contains(t, string(out), m.OSTreeCommit)
	}
}

func TestOtherTransportsLeaveTheMetadataAlone(t *testing.T) {
	dir := twoArches(t)
	place := filepath.Join(t.TempDir(), "os")

	push(t, dir, pushcontainer.Options{Name: place + ":1", Transport: "oci-archive"})

	img, err := oci.Inspect(place)
	require.NoError(t, err)
	b, err := dir.Latest()
	require.NoError(t, err)
	m, err := b.Meta()
	require.NoError(t, err)
	require.Equal(t, m.OSTreeCommit, img.Commit)
	require.Nil(t, m.BaseOSContainer)
}

func TestRunExplainsItself(t *testing.T) {
	dir := twoArches(t)
	for want, o := range map[string]pushcontainer.Options{
		"--image qemu: must be ostree or extensions-container": {Name: "os", Image: "qemu"},
		"build 24.03.1 has no extensions-container":            {Name: "os", Image: "extensions-container"},
		"--format oval: must be oci or v2s2":                   {Name: "os", Format: "oval"},
		"--transport tape: must be registry or one of":         {Name: "os", Transport: "tape"},
		"--index is for a registry, not for dir":               {Name: "os", Transport: "dir", Index: true},
		"credentials belong into --authfile":                   {Name: "robot:hidden@registry.invalid/os"},
		"build 7: no such build":                               {Name: "os", Build: "7"},
		"there is no host registry.invalid":                    {Name: "registry.invalid/os"},
	} {
		_, err := pushcontainer.Run(t.Context(), tool.Host{}, nil, dir, o)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hidden")
	}
	b, err := dir.Latest()
	require.NoError(t, err)
	require.NoError(t, b.Update(func(m *workdir.Meta) error { m.OSTreeCommit = strings.Repeat("1", 64); return nil }))
	_, err = pushcontainer.Run(t.Context(), tool.Host{}, nil, dir, pushcontainer.Options{Name: "registry.invalid/os"})
	require.ErrorContains(t, err, "but meta.json of the build says 1111")
}
