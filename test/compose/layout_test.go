package compose_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheTopLevelIsThatOfADeployment(t *testing.T) {
	c := newLab(t).compose("selinux: false\nno-initramfs: true\nboot-location: modules\ntmp-is-dir: false\nmachineid-compat: false\n")
	require.ElementsMatch(t, []string{
		"bin", "boot", "dev", "home", "lib", "lib64", "media", "mnt", "opt", "ostree", "proc", "root", "run", "sbin", "srv", "sys", "sysroot", "tmp", "usr", "var",
	}, c.below("/"))
	for path, target := range map[string]string{
		"/bin": "usr/bin", "/home": "var/home", "/root": "var/roothome", "/srv": "var/srv", "/mnt": "var/mnt",
		"/opt": "var/opt", "/media": "run/media", "/ostree": "sysroot/ostree", "/usr/local": "../var/usrlocal", "/tmp": "sysroot/tmp",
		"/usr/lib/sysimage/rpm": "../../share/rpm",
	} {
		c.link(path, target)
	}
	for _, empty := range []string{"/boot", "/dev", "/proc", "/run", "/sys", "/sysroot", "/var"} {
		c.mode(empty, "d", "0755")
		require.Empty(t, c.below(empty), empty)
	}
	c.lacks("/usr/etc/machine-id", "/usr/lib/ostree-boot/vmlinuz-6.1.0", "/usr/lib/modules/6.1.0/initramfs.img", "/etc")

	require.Equal(t, "# defaults\nHOME=/var/home\nSHELL=/bin/sh\n", c.cat("/usr/etc/default/useradd"))
	require.Equal(t, "%_dbpath /usr/share/rpm\n", c.cat("/usr/lib/rpm/macros.d/macros.rpm-ostree"))
	require.Equal(t, "root:*::0:99999:7:::\n", c.cat("/usr/etc/shadow"), "no date of the compose")
	require.Equal(t, c.sum("/usr/share/rpm/rpmdb.sqlite"), c.sum("/usr/lib/sysimage/rpm-ostree-base-db/rpmdb.sqlite"))

	require.Equal(t, "kernel", c.cat("/usr/lib/modules/6.1.0/vmlinuz"))
	c.has("/usr/lib/modules/6.1.0/modules.dep")
	require.Equal(t, "6.1.0", c.meta["ostree.linux"])
	require.Equal(t, true, c.meta["ostree.bootable"])
}

func TestStateBecomesTmpfilesLines(t *testing.T) {
	c := newLab(t).compose(quick)
	for _, line := range []string{
		"d /var/home 0755 root root -\n", "d /var/roothome 0700 root root -\n", "d /var/srv 0755 root root -\n", "d /var/mnt 0755 root root -\n",
		"d /run/media 0755 root root -\n", "L /var/lib/rpm - - - - ../../usr/share/rpm\n", "L /var/lib/selinux - - - - ../../etc/selinux\n",
	} {
		require.Contains(t, c.cat("/usr/lib/tmpfiles.d/rpm-ostree-0-integration.conf"), line)
	}
	for _, line := range []string{"d /var/opt 0755 root root -\n", "d /var/usrlocal 0755 root root -\n", "d /var/usrlocal/bin 0755 root root -\n"} {
		require.Contains(t, c.cat("/usr/lib/tmpfiles.d/rpm-ostree-0-integration-opt-usrlocal.conf"), line)
	}
	made := c.cat("/usr/lib/tmpfiles.d/rpm-ostree-autovar.conf")
	require.Contains(t, made, "d /var/lib/app 0750 root root - -\n")
	require.Contains(t, made, "L /opt/vendor - - - - ../../usr/lib/opt/vendor\n")
	require.Contains(t, made, "L /var/lib/alternatives - - - - ../../usr/lib/alternatives\n")
	require.Equal(t, "vendor", c.cat("/usr/lib/opt/vendor/bin/tool"))
	require.Equal(t, "auto\n", c.cat("/usr/lib/alternatives/app"))
	require.Empty(t, c.below("/var"))
}

func TestWhereOptAndUsrLocalLead(t *testing.T) {
	l := newLab(t)
	const local = quick + "bootstrap_packages: [local]\n"
	l.manifest(local)
	l.ok("fetch")
	l.refuses(local, "package local brings /usr/local/bin/local-tool")

	c := l.compose(local + "opt-usrlocal: root\n")
	c.mode("/opt", "d", "0755")
	c.has("/opt/vendor/bin/tool", "/usr/local/bin/local-tool")
	c.lacks("/usr/lib/opt/vendor")
	require.NotContains(t, c.cat("/usr/lib/tmpfiles.d/rpm-ostree-autovar.conf"), "L /opt")

	c = l.compose(local + "opt-usrlocal: stateoverlay\n")
	c.link("/opt", "usr/lib/opt")
	c.mode("/usr/local", "d", "0755")
	c.has("/usr/lib/opt/vendor/bin/tool", "/usr/local/bin/local-tool")
	c.link("/usr/lib/systemd/system/local-fs.target.requires/ostree-state-overlay@usr-lib-opt.service", "../ostree-state-overlay@usr-lib-opt.service")
	c.link("/usr/lib/systemd/system/local-fs.target.requires/ostree-state-overlay@usr-local.service", "../ostree-state-overlay@usr-local.service")
	require.NotContains(t, c.cat("/usr/lib/tmpfiles.d/rpm-ostree-autovar.conf"), "L /opt")
}

func TestATransientRootKeepsWhatPackagesPutThere(t *testing.T) {
	l := newLab(t)
	write(t, l.config, "overlay.d/05root/usr/lib/ostree/prepare-root.conf", "[composefs]\nenabled = yes\n[root]\ntransient = true\n")
	write(t, l.config, "overlay.d/05root/srv/app/index", "x")
	write(t, l.config, "overlay.d/05root/usr/local/bin/local-tool", "x")
	layer := "ostree-layers: [overlay/05root]\n"

	c := l.compose(quick + layer)
	c.has("/srv/app/index", "/opt/vendor/bin/tool", "/usr/local/bin/local-tool")
	for _, dir := range []string{"/opt", "/srv", "/mnt", "/media", "/usr/local"} {
		c.mode(dir, "d", "0755")
	}
	c.link("/home", "var/home")
	c.mode("/tmp", "d", "1777")

	l.refuses(layer+"selinux: false\nno-initramfs: true\ntmp-is-dir: false\n",
		"the root is transient (prepare-root.conf), which does not go with tmp-is-dir: false")
}

func TestKernelCopiesAndInitramfsArguments(t *testing.T) {
	c := newLab(t).compose("selinux: false\nboot-location: new\ninitramfs-args: [--no-hostonly, --add, ignition]\n")
	c.mode("/usr/lib/modules/6.1.0/initramfs.img", "-", "0644")
	require.Contains(t, c.cat("/usr/lib/modules/6.1.0/initramfs.img"), "--no-hostonly --add ignition --add ostree")
	require.Equal(t, []any{"--no-hostonly", "--add", "ignition"}, c.meta["rpmostree.initramfs-args"])
	sum := sha256.Sum256([]byte(c.cat("/usr/lib/modules/6.1.0/vmlinuz") + c.cat("/usr/lib/modules/6.1.0/initramfs.img")))
	var copies []string
	for _, name := range c.below("/usr/lib/ostree-boot") {
		if strings.Contains(name, "6.1.0") {
			copies = append(copies, strings.Replace(name, hex.EncodeToString(sum[:]), "CSUM", 1))
		}
	}
	require.ElementsMatch(t, []string{"vmlinuz-6.1.0-CSUM", "initramfs-6.1.0.img-CSUM"}, copies)
}

func TestAFinalizedTreeIsNotFinalizedAgain(t *testing.T) {
	l := newLab(t)
	write(t, l.config, "overlay.d/05base/usr/lib/tmpfiles.d/rpm-ostree-0-integration.conf", "# of the base\n")
	c := l.compose(quick + "ostree-layers: [overlay/05base]\n")
	require.Equal(t, "# of the base\n", c.cat("/usr/lib/tmpfiles.d/rpm-ostree-0-integration.conf"))
	c.lacks("/usr/lib/passwd", "/usr/lib/tmpfiles.d/rpm-ostree-autovar.conf")
	require.Contains(t, c.cat("/usr/etc/default/useradd"), "HOME=/home\n")
	c.link("/home", "var/home")
}

func TestLeftoversAreCleaned(t *testing.T) {
	c := newLab(t).compose(quick + postprocess(
		"for f in .pwd.lock passwd- group- shadow- gshadow- subuid- subgid-; do touch /etc/$f; done",
		"touch /usr/share/rpm/.rpm.lock /usr/share/rpm/__db.001",
	))
	for _, name := range []string{".pwd.lock", "passwd-", "group-", "shadow-", "gshadow-", "subuid-", "subgid-"} {
		c.lacks("/usr/etc/" + name)
	}
	c.lacks("/usr/share/rpm/.rpm.lock", "/usr/share/rpm/__db.001")
}
