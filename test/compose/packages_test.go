package compose_test

import (
	"os"
	"testing"

	"github.com/google/rpmpack"
	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
)

const (
	dir  = 0o040000
	link = 0o120000
)

// file is a regular file with the permissions of its mode, a directory or a
// link to its text.
func file(name string, mode uint, text string) rpmpack.RPMFile {
	f := rpmpack.RPMFile{Name: name, Mode: mode, Body: []byte(text)}
	if mode == link {
		f.Mode |= 0o777
	}
	return f
}

// packages are those of the repository: base is a system of which only the shell
// runs, app brings something to each place that composing treats specially, and
// linux a kernel that nobody boots; local has a place in some trees only.
func packages(t *testing.T) []testkit.RPM {
	busybox, err := os.ReadFile("/bin/busybox")
	require.NoError(t, err)
	base := testkit.RPM{Name: "base", Provides: []string{"/bin/sh"}, Files: []rpmpack.RPMFile{
		file("/usr/bin/busybox", 0o755, string(busybox)),
		file("/bin", link, "usr/bin"), file("/sbin", link, "usr/sbin"), file("/lib", link, "usr/lib"), file("/lib64", link, "usr/lib64"),
		file("/etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\ndaemon:x:2:2::/:/sbin/nologin\nnobody:x:65534:65534::/:/sbin/nologin\n"),
		file("/etc/group", 0o644, "root:x:0:\nadm:x:4:\nwheel:x:10:core\ndaemon:x:2:\nnobody:x:65534:\n"),
		file("/etc/shadow", 0o600, "root:*:19000:0:99999:7:::\n"),
		file("/etc/nsswitch.conf", 0o644, "passwd: files systemd\ngroup: files\nshadow: files\nhosts: files dns\n"),
		file("/etc/default/useradd", 0o644, "# defaults\nHOME=/home\nSHELL=/bin/sh\n"),
		file("/etc/machine-id", 0o444, "0123456789abcdef0123456789abcdef\n"),
		file("/etc/os-release", link, "../usr/lib/os-release"),
		file("/usr/lib/os-release", 0o644, "NAME=\"Test\"\nVERSION=\"12 (Test)\"\n\nPRETTY_NAME=\"Test 12\"\nVERSION_ID=12\n"),
		// The module by whose name a tree is known to look users up in /usr/lib.
		file("/usr/lib64/libnss_altfiles.so.2", 0o755, ""),
		file("/usr/lib/systemd/system/default.target", link, "graphical.target"),
		file("/usr/lib/systemd/system/one.service", 0o644, "[Unit]\n"),
	}}
	for _, applet := range []string{"sh", "cat", "chmod", "chown", "cp", "echo", "grep", "ip", "ln", "ls", "mkdir", "mknod", "mv", "rm", "stat", "test", "touch", "wc"} {
		base.Files = append(base.Files, file("/usr/bin/"+applet, link, "busybox"))
	}
	app := testkit.RPM{
		Name: "app", Requires: []string{"base"},
		Pre: "echo app:x:501:501::/:/sbin/nologin >>/etc/passwd; echo app:x:501: >>/etc/group",
		Files: []rpmpack.RPMFile{
			file("/usr/bin/app", 0o755, "#!/bin/sh\n"), file("/usr/share/app/one.so", 0o644, "1"), file("/usr/share/app/two.py", 0o644, "2"),
			file("/etc/app.conf", 0o644, "package\n"), file("/etc/app.d/10_app", 0o644, "x\n"),
			{Name: "/usr/libexec/app-owned", Mode: 0o644, Owner: "app", Group: "app", Body: []byte("x")},
			{Name: "/usr/share/doc/app/README", Mode: 0o644, Type: rpmpack.DocFile, Body: []byte("x")},
			file("/opt/vendor/bin/tool", 0o755, "vendor"),
			file("/var/lib/app", dir|0o750, ""), file("/var/lib/app/state", 0o644, "x"),
			file("/var/lib/alternatives/app", 0o644, "auto\n"),
		},
	}
	kernel := testkit.RPM{Name: "linux", Files: []rpmpack.RPMFile{
		file("/boot/vmlinuz-6.1.0", 0o755, "kernel"), file("/boot/config-6.1.0", 0o644, "CONFIG=y\n"),
		file("/usr/lib/modules/6.1.0/modules.order", 0o644, ""), file("/usr/lib/modules/6.1.0/modules.builtin", 0o644, ""),
		file("/usr/sbin/depmod", link, "../bin/busybox"),
		// In dracut's place: it writes what it was asked for where it was asked to.
		file("/usr/bin/dracut", 0o755, "#!/bin/sh\nfor last; do :; done\necho \"$@\" >\"$last\"\n"),
	}}
	local := testkit.RPM{Name: "local", Requires: []string{"base"}, Files: []rpmpack.RPMFile{file("/usr/local/bin/local-tool", 0o755, "local")}}
	return []testkit.RPM{base, app, kernel, local}
}
