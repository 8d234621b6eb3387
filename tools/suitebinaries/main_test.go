package main

import (
	"compress/gzip"
	"debug/elf"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whoever builds a release again gets its bytes: two trees in different places are
// built with separate caches, in different environments.
func TestAReleaseCanBeBuiltAgain(t *testing.T) {
	var programs []string // all of them, which takes minutes
	switch os.Getenv("NOSA_TEST_REPRODUCE") {
	case "":
		t.Skip("compiles the standard library anew; make reproduce sets NOSA_TEST_REPRODUCE")
	case "small":
		programs = []string{"cmd/nosa-init"}
	}
	first := options{root: copyTree(t), out: t.TempDir(), tag: "v1.2.3", url: "https://host/v1.2.3", programs: programs}
	require.NoError(t, first.make(t.Context()))

	t.Setenv("GOCACHE", t.TempDir())
	t.Setenv("GOFLAGS", "-buildvcs=true -ldflags=-X=main.x=y")
	t.Setenv("GOAMD64", "v3")
	t.Setenv("CGO_ENABLED", "1")
	t.Setenv("TZ", "Asia/Shanghai")
	second := first
	second.root, second.out = filepath.Join(copyTree(t)), t.TempDir()
	second.programs = programs
	require.NoError(t, second.make(t.Context()))

	list, err := os.ReadDir(first.out)
	require.NoError(t, err)
	for _, e := range list {
		one, err := os.ReadFile(filepath.Join(first.out, e.Name()))
		require.NoError(t, err)
		other, err := os.ReadFile(filepath.Join(second.out, e.Name()))
		require.NoError(t, err)
		require.True(t, string(one) == string(other), e.Name())
	}

	// The same program comes out where an action builds it from this source.
	bin := t.TempDir()
	t.Setenv("GOFLAGS", "")
	t.Setenv("GOAMD64", "")
	out, err := exec.Command(filepath.Join(first.root, "actions/provide.sh"), bin, "nosa-init").CombinedOutput()
	require.NoError(t, err, string(out))
	built, err := os.ReadFile(filepath.Join(bin, "nosa-init"))
	require.NoError(t, err)
	require.True(t, string(built) == string(unpacked(t, filepath.Join(first.out, "nosa-init-linux-amd64.gz"))))

	for name, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		f, err := elf.NewFile(strings.NewReader(string(unpacked(t, filepath.Join(first.out, "nosa-init-linux-"+name+".gz")))))
		require.NoError(t, err)
		require.Equal(t, machine, f.Machine)
		require.Nil(t, f.Section(".interp"), "it needs no other file of the machine")
	}
}

func TestATagThatIsNoVersionIsRefused(t *testing.T) {
	for _, tag := range []string{"", "v1", "1.2.3", "v1.2.3\nsource x", "v1.2.3/../v1.2.4"} {
		require.False(t, version.MatchString(tag), tag)
	}
	require.True(t, version.MatchString("v1.2.3-rc.1"))
}

func TestWhatIsThereIsNotMixedWithWhatIsMade(t *testing.T) {
	o := options{root: "../..", out: t.TempDir(), tag: "v1.2.3", programs: []string{"cmd/nosa-init"}}
	require.NoError(t, os.WriteFile(filepath.Join(o.out, "old"), nil, 0o644))
	require.ErrorContains(t, o.make(t.Context()), "is not empty")
}

func copyTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("sh", "-c", `cd ../.. && git -c safe.directory=* ls-files -z --cached --others --exclude-standard actions cmd internal tools go.mod go.sum |
		tar --null --ignore-failed-read -T - -c | tar -x -C "$1"`, "sh", dir).CombinedOutput()
	require.NoError(t, err, string(out))
	return dir
}

func unpacked(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	data, err := io.ReadAll(z)
	require.NoError(t, err)
	return data
}
