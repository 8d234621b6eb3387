package testkit

import (
	"os"
	"testing"

	"github.com/google/rpmpack"
	"github.com/stretchr/testify/require"
)

// TinyManifest is the treefile of a system made of TinyPackages, with an overlay
// 05core. It has a shell and a kernel that is none, and is composed in about a
// second.
const TinyManifest = `ref: tiny/${basearch}/stable
rojig: {name: tiny, summary: A tiny system, license: MIT}
releasever: "1"
automatic-version-prefix: "1"
selinux: false
packages: [filesystem, shell, kernel, app]
no-initramfs: true
mutate-os-release: "1"
add-commit-metadata:
  nestos.stream: stable
  number: 7
ostree-layers: [overlay/05core]
postprocess:
  - |
    #!/bin/sh
    set -eu
    date >/dev/null
    echo "$(cat /usr/share/app/version) made" >/etc/app-made
`

// TinyPackages writes the packages of a tiny system to dir, with this version of
// the package app.
func TinyPackages(t testing.TB, dir, app string) {
	t.Helper()
	shell, err := os.ReadFile("/bin/busybox")
	require.NoError(t, err)
	link := func(name, target string) rpmpack.RPMFile {
		return rpmpack.RPMFile{Name: name, Body: []byte(target), Mode: 0o120777}
	}
	file := func(name, text string) rpmpack.RPMFile {
		return rpmpack.RPMFile{Name: name, Body: []byte(text), Mode: 0o644}
	}
	for _, p := range []RPM{
		{Name: "filesystem", Files: []rpmpack.RPMFile{
			link("/bin", "usr/bin"), link("/sbin", "usr/sbin"), link("/lib", "usr/lib"),
			file("/etc/passwd", "root:x:0:0::/root:/bin/sh\n"), file("/etc/group", "root:x:0:\n"),
			file("/usr/lib/os-release", "NAME=Tiny\nVERSION=1\n"), link("/etc/os-release", "../usr/lib/os-release"),
		}},
		{Name: "shell", Provides: []string{"/bin/sh"}, Requires: []string{"filesystem"}, Files: []rpmpack.RPMFile{
			{Name: "/usr/bin/busybox", Body: shell, Mode: 0o755},
			link("/usr/bin/sh", "busybox"), link("/usr/bin/cat", "busybox"), link("/usr/bin/date", "busybox"),
			link("/usr/bin/true", "busybox"),
			{Name: "/usr/sbin/depmod", Body: []byte("#!/bin/sh\n: >/usr/lib/modules/$2/modules.dep\n"), Mode: 0o755},
		}},
		{Name: "kernel", Version: "6.1", Files: []rpmpack.RPMFile{
			file("/usr/lib/modules/6.1/vmlinuz", "kernel"), file("/usr/lib/modules/6.1/modules.builtin", ""),
		}},
		{
			Name: "app", Version: app, Requires: []string{"shell"}, Post: "/usr/bin/busybox grep -q ^app: /etc/passwd || echo app:x:77:77::/:/bin/sh >>/etc/passwd",
			Files: []rpmpack.RPMFile{file("/usr/share/app/version", app+"\n")},
		},
	} {
		WriteRPM(t, dir, p)
	}
}
