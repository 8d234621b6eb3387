package compose_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each promise that postprocess scripts are given is tried by a script.
func TestWhatPostprocessScriptsCanRelyOn(t *testing.T) {
	l := newLab(t)
	write(t, l.config, "external", "#!/bin/sh\nset -eu\necho external $0 $# >>/usr/share/order\ncat /etc/late.conf >>/usr/share/order\n")
	require.NoError(t, os.Chmod(filepath.Join(l.config, "external"), 0o755))
	write(t, l.config, "overlay.d/05core/usr/share/layered", "layer\n")
	t.Setenv("SECRET_TOKEN", "hush")

	c := l.compose(quick + "ostree-layers: [overlay/05core]\npostprocess-script: external\nadd-files: [[external, usr/share/added]]\npostprocess:\n" +
		script(
			"echo first $0 $# >>/usr/share/order",
			"test -x $0",
			"test -e /usr/share/layered && test -e /usr/share/added && test -e /usr/share/rpm-ostree/treefile.json",
			"echo one >/etc/new.conf; test $(cat /usr/etc/new.conf) = one",
			"echo two >>/usr/etc/app.conf; test $(wc -l </etc/app.conf) = 2",
			"echo changed >>/usr/share/app/one.so; chmod 0600 /usr/share/app/two.py",
		) +
		script(
			"test ! -e /usr/bin/rpmostree-postprocess-inline-0",
			"echo second $0 >>/usr/share/order; echo late >/etc/late.conf",
			"! touch /var/lib/app/x 2>/dev/null",
			"touch /var/tmp/x; test $(ls -A /tmp | wc -l) = 0; touch /tmp/x",
			"test $(ls -A /run | wc -l) = 0 && test ! -e /sysroot/ostree && test ! -e /ostree",
			"test -z \"${SECRET_TOKEN-}\"",
			"test $(ip -o link | grep -v ' lo:' | wc -l) = 0",
			"mkdir -p /usr/share/modes; touch /usr/share/modes/f; chmod 4751 /usr/share/modes/f; chown 501:501 /usr/share/modes",
		))
	require.Equal(t, "first /usr/bin/rpmostree-postprocess-inline-0 0\nsecond /usr/bin/rpmostree-postprocess-inline-1\nexternal /usr/bin/rpmostree-treefile-postprocess-script 0\nlate\n",
		c.cat("/usr/share/order"))
	require.Equal(t, "one\n", c.cat("/usr/etc/new.conf"))
	require.Equal(t, "package\ntwo\n", c.cat("/usr/etc/app.conf"))
	require.Equal(t, "1changed\n", c.cat("/usr/share/app/one.so"))
	c.mode("/usr/share/app/two.py", "-", "0600")
	c.mode("/usr/share/modes/f", "-", "4751")
	require.Equal(t, "501:501", c.entries["/usr/share/modes"].Owner)
	c.lacks("/usr/bin/rpmostree-postprocess-inline-0", "/usr/bin/rpmostree-postprocess-inline-1",
		"/usr/bin/rpmostree-treefile-postprocess-script", "/tmp/x", "/var/tmp", "/etc", "/usr/etc/etc")

	t.Log("what a script changed is not in what is kept of the packages and layers")
	c = l.compose(quick + "ostree-layers: [overlay/05core]\n")
	require.Equal(t, "package\n", c.cat("/usr/etc/app.conf"))
	require.Equal(t, "1", c.cat("/usr/share/app/one.so"))
	c.mode("/usr/share/app/two.py", "-", "0644")
	require.Equal(t, "12 (Test)", versionOf(c))
	c.lacks("/usr/etc/new.conf", "/usr/share/modes", "/usr/share/order")
}

// versionOf is VERSION of os-release: nosa's own edits change no kept file, too.
func versionOf(c *tree) string {
	text := c.cat("/usr/lib/os-release")
	require.Contains(c.t, text, "VERSION=\"12 (Test)\"\n")
	return "12 (Test)"
}
