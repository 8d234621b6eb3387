package rootfs

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
)

// rpmPackage is a package with this machine's rpm.
func rpmPackage(t *testing.T, dir string) string {
	t.Helper()
	testkit.NeedTool(t, "ldd")
	return testkit.BuildRPM(t, dir, "rpm", "", `%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/usr/lib/rpm %{buildroot}/usr/lib64
for file in /usr/bin/rpm $(ldd /usr/bin/rpm | grep -o '/[^ ]*'); do
  mkdir -p %{buildroot}$(dirname $(readlink -f $(dirname $file))/x)
  cp -L $file %{buildroot}$(readlink -f $(dirname $file))/
done
ln -s usr/lib %{buildroot}/lib
ln -s usr/lib64 %{buildroot}/lib64
cp /usr/lib/rpm/macros /usr/lib/rpm/rpmrc %{buildroot}/usr/lib/rpm/
%files
/usr/*
/lib
/lib64
`)
}

func TestScriptsInLuaRunInTheTreesOwnRpm(t *testing.T) {
	testkit.NeedTool(t, "rpm", "bwrap")
	testkit.NeedRoot(t)
	dir := t.TempDir()
	shell := shellPackage(t, dir)
	lua := testkit.BuildRPM(t, dir, "lua", "Requires(pre): shell rpm", `%install
mkdir -p %{buildroot}/usr/share/lua
touch %{buildroot}/usr/share/lua/one %{buildroot}/usr/share/lua/two
%post -p <lua>
-- as the scripts of glibc, filesystem and setup do
notes = io.open("/etc/notes", "a")
notes:write("post ", arg[2], " ", rpm.expand("%%{_install_langs}"), "\n")
notes:close()
posix.mkdir("/usr/share/lua/dir")
posix.symlink("one", "/usr/share/lua/link")
if not posix.stat("/usr/share/lua/one") then error("nothing there") end
rpm.execute("/usr/bin/touch", "/usr/share/lua/executed")
local pid = posix.fork()
if pid == 0 then posix.exec("/usr/bin/touch", "/usr/share/lua/forked") end
posix.wait(pid)
%transfiletriggerin -p <lua> -- /usr/share/lua
local file = rpm.next_file()
while file do
  local notes = io.open("/etc/notes", "a")
  notes:write(file, "\n")
  notes:close()
  file = rpm.next_file()
end
%files
/usr/share/lua/one
/usr/share/lua/two
`)
	tree := unpackedTree(t, shell, rpmPackage(t, dir), lua)
	ran, err := tree.Scriptlets(t.Context(), ScriptOptions{Langs: []string{"de", "en_US"}})
	require.NoError(t, err)
	require.Equal(t, 2, ran)
	require.Equal(t, "post 1 de:en_US\n/usr/share/lua/one\n/usr/share/lua/two\n"+
		"/usr/share/lua/executed\n/usr/share/lua/forked\n/usr/share/lua/link\n", get(t, tree.Root, "etc/notes"))
	require.DirExists(t, filepath.Join(tree.Root, "usr/share/lua/dir"))

	t.Run("a failing one", func(t *testing.T) {
		tree := unpackedTree(t, shell, filepath.Join(dir, "rpm-1-1.noarch.rpm"),
			testkit.BuildRPM(t, t.TempDir(), "bad", "", "%posttrans -p <lua>\nlocal ok = 1\nerror('no luck')\n%files\n"))
		_, err := tree.Scriptlets(t.Context(), ScriptOptions{})
		require.EqualError(t, err, "script %posttrans of package bad: exit status 1: error: lua script failed: /run/nosa-script:2: no luck")
	})
	t.Run("a tree without rpm", func(t *testing.T) {
		_, err := unpackedTree(t, shell, testkit.BuildRPM(t, t.TempDir(), "bad", "", "%post -p <lua>\nprint(1)\n%files\n")).
			Scriptlets(t.Context(), ScriptOptions{})
		require.EqualError(t, err, "script %post of package bad: it is written in Lua, for which the tree needs /usr/bin/rpm: add the package rpm to the manifest")
	})
	t.Run("macros and tags", func(t *testing.T) {
		tree := unpackedTree(t, shell, filepath.Join(dir, "rpm-1-1.noarch.rpm"),
			testkit.BuildRPM(t, t.TempDir(), "expanding", "", "%post -e\necho %%{_install_langs} >>/etc/notes\n%posttrans -q\necho %%{NAME} >>/etc/notes\n%files\n"))
		_, err := tree.Scriptlets(t.Context(), ScriptOptions{})
		require.NoError(t, err)
		require.Equal(t, "all\nexpanding\n", get(t, tree.Root, "etc/notes"))
	})
}

func TestIgnoredAndReplacedScripts(t *testing.T) {
	testkit.NeedTool(t, "rpm", "bwrap")
	testkit.NeedRoot(t)
	dir := t.TempDir()
	tree := unpackedTree(t, shellPackage(t, dir),
		testkit.BuildRPM(t, dir, "kernel-core", "", "%post\necho kernel-core >>/etc/notes\n%posttrans\nexit 1\n%files\n"),
		testkit.BuildRPM(t, dir, "NestOS-kernel", "", "%posttrans\necho NestOS-kernel >>/etc/notes\n%files\n"),
		testkit.BuildRPM(t, dir, "glibc", "", "%pretrans -p <lua>\nerror()\n%pre -p <lua>\nerror()\n%files\n"),
	)
	ran, err := tree.Scriptlets(t.Context(), ScriptOptions{})
	require.NoError(t, err)
	require.Equal(t, 2, ran)
	require.Equal(t, "kernel-core\nNestOS-kernel\n", get(t, tree.Root, "etc/notes"))

	tree = unpackedTree(t, filepath.Join(dir, "shell-1-1.noarch.rpm"),
		testkit.BuildRPM(t, dir, "crypto-policies", "", `%install
mkdir -p %{buildroot}/usr/share/crypto-policies/DEFAULT
echo DEFAULT >%{buildroot}/usr/share/crypto-policies/default-config
echo x >%{buildroot}/usr/share/crypto-policies/DEFAULT/openssl.txt
mkdir -p %{buildroot}/usr/bin
for name in mkdir cp ln; do ln -s busybox %{buildroot}/usr/bin/$name; done
%post -p <lua>
error()
%files
/usr
`))
	_, err = tree.Scriptlets(t.Context(), ScriptOptions{})
	require.NoError(t, err)
	link, err := os.Readlink(filepath.Join(tree.Root, "etc/crypto-policies/back-ends/openssl.config"))
	require.NoError(t, err)
	require.Equal(t, "/usr/share/crypto-policies/DEFAULT/openssl.txt", link)
	require.Equal(t, "DEFAULT\n", get(t, tree.Root, "etc/crypto-policies/state/current"))
}

func TestWhatScriptsOfPackagesSee(t *testing.T) {
	testkit.NeedTool(t, "rpm", "bwrap")
	testkit.NeedRoot(t)
	dir := t.TempDir()
	tree := unpackedTree(t, shellPackage(t, dir), testkit.BuildRPM(t, dir, "probe", "", `%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/var/lib/state
printf '#!/bin/sh\necho "real systemctl $*" >>/etc/notes\n' >%{buildroot}/usr/bin/systemctl
chmod 755 %{buildroot}/usr/bin/systemctl
%pre
echo handed over >/var/lib/rpm-state/probe
%post
b=busybox
bad() { echo "$*" >>/etc/notes; }
[ "$(cat /var/lib/rpm-state/probe)" = "handed over" ] || bad "no rpm-state"
[ -e /run/ostree-booted ] || bad "not an OSTree system"
[ -z "$($b ls -A /usr/share/rpm)" ] || bad "the database is to be seen"
[ "$($b ls /proc/sys/net/ipv4/conf | tr '\n' ' ')" = "all default lo " ] || bad "network"
[ "$($b ls / | $b grep -c -x -e home -e root -e work)" = 0 ] || bad "the host is to be seen"
{ echo x >/var/lib/state/x; } 2>/dev/null && bad "/var is writable"
$b chown 7:7 /etc/notes && $b chown 0:0 /etc/notes || bad "no chown"
echo x >/var/tmp/x || bad "no /var/tmp"
$b mknod /etc/node c 1 3 2>/dev/null && bad "device nodes"
$b mount -t tmpfs x /etc 2>/dev/null && bad "mounts"
$b hostname other 2>/dev/null && bad "the host name"
[ "$($b grep CapEff /proc/self/status | $b tr -d '\t')" = "CapEff:00000000800401fb" ] || bad "$($b grep CapEff /proc/self/status)"
[ "$SYSTEMD_OFFLINE" = 1 ] || bad "online"
systemctl daemon-reload
systemctl --no-reload preset a.service
systemctl restart a.service
systemctl enable b.service
exit 0
%files
/usr/bin/systemctl
/var/lib/state
`))
	before := get(t, tree.Root, "usr/bin/systemctl")
	var said bytes.Buffer
	_, err := tree.Scriptlets(t.Context(), ScriptOptions{Live: &said})
	require.NoError(t, err)
	require.Equal(t, "real systemctl --no-reload preset a.service\nreal systemctl enable b.service\n", get(t, tree.Root, "etc/notes"))
	require.Equal(t, "probe.post: systemctl: left out in a compose: daemon-reload\nprobe.post: systemctl: left out in a compose: restart a.service\n", said.String())
	require.Equal(t, before, get(t, tree.Root, "usr/bin/systemctl"))
	for _, gone := range []string{"var/lib/rpm-state", "usr/etc", "var/tmp/x"} {
		require.NoFileExists(t, filepath.Join(tree.Root, gone))
		require.NoDirExists(t, filepath.Join(tree.Root, gone))
	}
	require.FileExists(t, filepath.Join(tree.Root, DBPath, "rpmdb.sqlite"))
}

func TestAScriptThatBreaksTheTreeIsNoticed(t *testing.T) {
	testkit.NeedTool(t, "rpm", "bwrap")
	testkit.NeedRoot(t)
	dir := t.TempDir()
	tree := unpackedTree(t, shellPackage(t, dir), testkit.BuildRPM(t, dir, "bad", "", "%post\nbusybox rm /usr/bin/true\n%files\n"))
	_, err := tree.Scriptlets(t.Context(), ScriptOptions{})
	require.ErrorContains(t, err, "programs no longer run in the tree after the scripts of packages")
}

func TestAFailingTriggerIsNamedWithItsWordsOnEitherStream(t *testing.T) {
	testkit.NeedTool(t, "rpm", "bwrap")
	testkit.NeedRoot(t)
	dir := t.TempDir()
	tree := unpackedTree(t, shellPackage(t, dir), testkit.BuildRPM(t, dir, "bad", "", "%transfiletriggerin -- /usr/bin\necho one; echo two >&2; exit 7\n%files\n"))
	_, err := tree.Scriptlets(t.Context(), ScriptOptions{})
	require.ErrorContains(t, err, "script %transfiletriggerin of package bad: exit status 7: ")
	require.ErrorContains(t, err, "one")
	require.ErrorContains(t, err, "two")
}
