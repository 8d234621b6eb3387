package compose_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKeysOfTheContent(t *testing.T) {
	l := newLab(t)
	write(t, l.config, "motd", "hello\n")
	require.NoError(t, os.Chmod(filepath.Join(l.config, "motd"), 0o640))
	write(t, l.config, "overlay.d/05core/etc/core.conf", "etc\n")
	write(t, l.config, "overlay.d/05core/usr/etc/core2.conf", "usr/etc\n")
	write(t, l.config, "overlay.d/05core/usr/share/app/one.so", "1") // as the package has it
	write(t, l.config, "overlay.d/99local/etc/app.conf", "override\n")
	write(t, filepath.Join(l.dir, "overrides/rootfs"), "usr/share/app/developer", "mine\n")

	c := l.compose(quick + `
documentation: false
remove-from-packages:
  - [app, two\.py$, /etc/app\.d/10_app]
  - [linux, one\.so]
ostree-layers: [overlay/05core]
ostree-override-layers: [overlay/99local]
units: [one.service, other.service]
default-target: multi-user.target
mutate-os-release: "12"
remove-files: [usr/share/app/one.so, usr/not/there, usr/etc/core2.conf]
add-files:
  - [motd, /etc/issue.d/motd]
  - [motd, usr/share/motd]
container-cmd: [/usr/bin/sh, -l]
variables: {stream: testing}
add-commit-metadata: {test.stream: "${stream}", test.number: 7, test.list: [a, b]}
`)
	require.Equal(t, "etc\n", c.cat("/usr/etc/core.conf"))
	require.Equal(t, "override\n", c.cat("/usr/etc/app.conf"))
	require.Equal(t, "mine\n", c.cat("/usr/share/app/developer"))
	c.lacks("/usr/share/doc/app/README", "/usr/share/app/two.py", "/usr/etc/app.d/10_app", "/usr/share/app/one.so", "/usr/etc/core2.conf")
	for _, unit := range []string{"one.service", "other.service"} {
		c.link("/usr/etc/systemd/system/multi-user.target.wants/"+unit, "/usr/lib/systemd/system/"+unit)
	}
	c.link("/usr/lib/systemd/system/default.target", "multi-user.target")
	require.Equal(t, "NAME=\"Test\"\nVERSION=\"1 (Test)\"\nPRETTY_NAME=\"Test 1\"\nVERSION_ID=12\nOSTREE_VERSION=1\n", unquoted(c.cat("/usr/lib/os-release")))
	c.link("/usr/etc/os-release", "../usr/lib/os-release")
	require.Equal(t, "hello\n", c.cat("/usr/etc/issue.d/motd"))
	c.mode("/usr/etc/issue.d/motd", "-", "0640")
	c.mode("/usr/etc/issue.d", "d", "0755")
	c.has("/usr/share/motd", "/usr/share/rpm/rpmdb.sqlite")
	c.mode("/usr/etc/machine-id", "-", "0444")
	require.Empty(t, c.cat("/usr/etc/machine-id"), "empty: made at first boot")

	require.Equal(t, []any{"/usr/bin/sh", "-l"}, c.meta["ostree.container-cmd"])
	require.Equal(t, "testing", c.meta["test.stream"])
	require.EqualValues(t, 7, c.meta["test.number"])
	require.Equal(t, []any{"a", "b"}, c.meta["test.list"])
	require.Equal(t, "1", c.meta["version"])
	require.Len(t, c.meta["rpmostree.inputhash"], 64)
	require.Contains(t, c.meta["rpmostree.rpmdb.pkglist"], []any{"base", "0", "1", "1", "noarch"})
	require.NotContains(t, c.meta, "ostree.linux", "container: true has no kernel")
	require.NotContains(t, c.meta, "ostree.bootable")

	var treefile map[string]any
	require.NoError(t, json.Unmarshal([]byte(c.cat("/usr/share/rpm-ostree/treefile.json")), &treefile))
	require.Equal(t, "multi-user.target", treefile["default-target"])
	require.NotContains(t, treefile, "variables")
}

// unquoted takes the quotes of OSTREE_VERSION away: a shell sees no difference.
func unquoted(osRelease string) string {
	const key = "OSTREE_VERSION='"
	at := len(osRelease) - len("1'\n")
	if at > len(key) && osRelease[at-len(key):at] == key {
		return osRelease[:at-1] + "1\n"
	}
	return osRelease
}

func TestExecutablesMayLoseTheirWriteBits(t *testing.T) {
	l := newLab(t)
	c := l.compose(quick)
	c.mode("/usr/bin/app", "-", "0755")
	c = l.compose(quick + "readonly-executables: true\n")
	c.mode("/usr/bin/app", "-", "0555")
	c.mode("/usr/lib/os-release", "-", "0644")
	c = l.compose(quick)
	c.mode("/usr/bin/app", "-", "0755") // what is kept of the packages is as it was
}
