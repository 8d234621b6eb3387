package testkit

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/tool"
)

// BuildRPM builds a package with rpmbuild and returns its path in dir. The spec
// begins with its %description: name, the version 1-1, noarch and what else must
// be are put before it, as are the lines of preamble. It is for what WriteRPM
// cannot write: triggers, other interpreters, capabilities, ghosts.
func BuildRPM(t testing.TB, dir, name, preamble, spec string) string {
	t.Helper()
	NeedTool(t, "rpmbuild")
	top := t.TempDir()
	file := filepath.Join(top, name+".spec")
	text := "Name: " + name + "\nVersion: 1\nRelease: 1\nSummary: " + name + "\nLicense: none\nBuildArch: noarch\nAutoReqProv: no\n" +
		preamble + "\n%description\n" + name + "\n" + spec
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "rpmbuild", Args: []string{
		"-bb", "--quiet", "--target=noarch", "--define=_topdir " + top, "--define=_rpmdir " + dir,
		"--define=_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm",
		"--define=_binaries_in_noarch_packages_terminate_build 0", "--define=__os_install_post %{nil}",
		"--define=_build_id_links none", "--define=_binary_payload w.ufdio", "--define=_buildhost localhost", "--define=use_source_date_epoch_as_buildtime 1",
		file,
	}, Env: []string{"SOURCE_DATE_EPOCH=1700000000"}})
	require.NoError(t, err)
	return filepath.Join(dir, name+"-1-1.noarch.rpm")
}
