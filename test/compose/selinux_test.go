package compose_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// policyTree composes Debian's policy: its modules are installed by a postprocess
// script, as configs of real systems do with theirs.
const policyTree = `ref: test/${basearch}/os
rojig: {name: os, summary: A test, license: MIT}
automatic-version-prefix: "1"
releasever: "12"
packages: [filesystem, base-files, bash, coreutils, selinux-policy-default, policycoreutils, selinux-utils]
recommends: false
documentation: false
ostree-layers: [overlay/05core]
no-initramfs: true
boot-location: modules
postprocess:
  - |
    #!/bin/bash
    set -eu
    mkdir -p /usr/lib/modules/6.1.0
    echo kernel >/usr/lib/modules/6.1.0/vmlinuz
    ln -s /bin/true /usr/sbin/depmod
  - |
    #!/bin/bash
    set -eu
    for name in $(</usr/share/selinux/default/.modules); do
      modules+=(-i "/usr/share/selinux/default/$name.pp.bz2")
    done
    semodule -X 100 -n -s default "${modules[@]}"
`

// The policy takes most of a minute to compile, and its packages are not in the
// pool of all other tests: make test-all makes them one and says where.
func TestATreeWithAPolicyIsLabelledByIt(t *testing.T) {
	pool := os.Getenv("NOSA_SELINUX_POOL")
	if pool == "" {
		t.Skip("NOSA_SELINUX_POOL does not say where the packages of a policy are; run make test-all")
	}
	prepareShared(t)
	root := t.TempDir()
	l := &lab{t: t, dir: filepath.Join(root, "work"), config: filepath.Join(root, "config"), yumrepos: filepath.Join(root, "yumrepos")}
	write(t, l.yumrepos, "pool.repo", "[pool]\nname=pool\nbaseurl=file://"+pool+"\ngpgcheck=0\n")
	write(t, l.config, "manifest.yaml", policyTree)
	write(t, l.config, "image.yaml", "size: 8\n")
	write(t, l.config, "overlay.d/05core/etc/selinux/config", "SELINUX=permissive\nSELINUXTYPE=default\n")
	l.init()
	l.ok("fetch")
	c := l.tree(l.ok("build", "container"))

	labels := c.labels()
	for path, kind := range map[string]string{
		"/": "root_t", "/usr/bin/bash": "shell_exec_t", "/usr/etc/passwd": "etc_t", "/usr/etc/shadow": "shadow_t",
		"/usr/etc/selinux/config": "selinux_config_t", "/boot": "boot_t", "/usr/lib/modules": "modules_object_t",
	} {
		require.Equal(t, "system_u:object_r:"+kind+":s0", labels[path], path)
	}
	require.Len(t, labels, len(c.entries), "no path is without a label")
	require.Contains(t, c.cat("/usr/etc/selinux/default/contexts/files/file_contexts.subs_dist"), "\n/home /var/home\n/usr/etc /etc\n")
	require.Contains(t, c.cat("/usr/etc/selinux/semanage.conf"), "\nstore-root=/etc/selinux\n")
	c.has("/usr/etc/selinux/default/active/modules/100/base/hll")
	require.Empty(t, c.below("/var"))
	host(t, "ostree", "fsck", "--repo="+c.repo, "--quiet")

	kept, err := filepath.Glob(filepath.Join(l.dir, "tmp/unpacked/*/usr/bin/bash"))
	require.NoError(t, err)
	require.Len(t, kept, 1)
	_, err = unix.Lgetxattr(kept[0], "security.selinux", make([]byte, 256))
	require.ErrorIs(t, err, unix.ENODATA, "labels are those of the commit, not of what is kept of the packages")
}

// labels are the SELinux labels of all paths that have one.
func (c *tree) labels() map[string]string {
	labels := map[string]string{}
	for line := range strings.Lines(host(c.t, "ostree", "ls", "--repo="+c.repo, "-R", "-X", c.commit)) {
		_, attribute, _ := strings.Cut(line, "(b'security.selinux', b'")
		label, rest, ok := strings.Cut(attribute, "')")
		if _, path, found := strings.Cut(rest, "] } "); ok && found {
			path, _, _ = strings.Cut(strings.TrimSpace(path), " -> ")
			labels[path] = label
		}
	}
	return labels
}
