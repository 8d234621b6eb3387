package rootfs

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/rpmpack"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Every row of the table of import-time path translation, from the package to
// the finished tree.
func TestWhereFilesOfPackagesEndUp(t *testing.T) {
	testkit.NeedTool(t, "rpm", "bwrap")
	testkit.NeedRoot(t)
	dir := t.TempDir()
	filesystem := testkit.BuildRPM(t, dir, "filesystem", "", `%install
cd %{buildroot}
mkdir -p usr/bin usr/local/share home srv media mnt proc var/lib var/tmp run afs
ln -s usr/bin bin
ln -s ../run var/run
%files
%dir /usr
%dir %attr(0555,root,root) /usr/bin
/usr/local
/bin
/home
/srv
/media
/mnt
%attr(0555,root,root) /proc
/afs
/var
/run
`)
	app := testkit.BuildRPM(t, dir, "app", "Requires: filesystem", `%install
cd %{buildroot}
mkdir -p bin etc boot opt/app/bin var/lib/alternatives var/lib/vagrant var/lib/selinux/targeted/active
mkdir -p 'var/lib/app/a dir' var/log/app run/app var/run/app usr/share/doc/app usr/share/locale/de usr/share/locale/fr
for file in bin/tool etc/app.conf boot/config opt/app/bin/app var/lib/alternatives/editor var/lib/vagrant/x \
  var/lib/selinux/targeted/active/seusers var/lib/app/state var/lib/app/ghost run/app/pid var/run/app/old \
  usr/share/doc/app/README usr/share/locale/de/app usr/share/locale/fr/app bin/setuid bin/capable; do echo $file >$file; done
ln -s ../../usr/share/app var/lib/app/link
mkdir -p usr/share/app/readonly
%files
/bin/tool
%attr(4750,root,games) /bin/setuid
%caps(cap_net_raw=ep) /bin/capable
/etc/app.conf
/boot/config
/opt/app
/var/lib/alternatives
/var/lib/vagrant
/var/lib/selinux/targeted/active/seusers
%dir %attr(2770,daemon,games) /var/lib/app
"/var/lib/app/a dir"
%attr(0640,daemon,root) /var/lib/app/state
/var/lib/app/link
%ghost /var/lib/app/ghost
%dir /var/log/app
/run/app
/var/run/app/old
%doc /usr/share/doc/app/README
%lang(de) /usr/share/locale/de/app
%lang(fr) /usr/share/locale/fr/app
%dir %attr(0555,daemon,root) /usr/share/app
%dir %attr(0511,root,root) /usr/share/app/readonly
`)
	shipped := testkit.WriteRPM(t, dir, testkit.RPM{Name: "shipped", Files: []rpmpack.RPMFile{
		{Name: "/usr/lib/tmpfiles.d/app.conf", Body: []byte("d /var/log/app 0700 - - -\n"), Mode: 0o644},
		{Name: "/etc/passwd", Body: []byte("root:x:0:0::/root:/bin/sh\ndaemon:x:7:7::/:/bin/sh\n"), Mode: 0o644},
		{Name: "/etc/group", Body: []byte("root:x:0:\ngames:x:9:\n"), Mode: 0o644},
	}})
	tree := &Tree{Root: filepath.Join(t.TempDir(), "root"), Run: tool.Host{}, Epoch: time.Unix(1700000000, 0)}
	require.NoError(t, tree.Unpack(t.Context(), []string{app, shipped, filesystem}, UnpackOptions{NoDocs: true, Langs: []string{"de"}}))
	require.NoError(t, tree.PlaceState())
	_, err := tree.Scriptlets(t.Context(), ScriptOptions{})
	require.NoError(t, err)
	_, err = tree.PlaceKernel()
	require.ErrorContains(t, err, "no kernel") // it has moved /boot
	require.NoError(t, tree.Finalize(FinalOptions{TmpIsDir: true, OptUsrlocal: OptVar}))

	for _, path := range []string{
		"usr/bin/tool", "usr/etc/app.conf", "usr/lib/ostree-boot/config", "usr/lib/opt/app/bin/app",
		"usr/lib/alternatives/editor", "usr/lib/vagrant/x", "usr/etc/selinux/targeted/active/seusers", "usr/share/locale/de/app",
	} {
		require.FileExists(t, filepath.Join(tree.Root, path))
	}
	for _, path := range []string{"usr/share/doc/app/README", "usr/share/locale/fr/app", "afs", "usr/etc/passwd.rpmnew"} {
		require.NoFileExists(t, filepath.Join(tree.Root, path))
	}
	require.Equal(t, `# Made of what packages brought to /var, /run and /opt.
L /opt/app - - - - ../../usr/lib/opt/app
L /var/lib/alternatives - - - - ../../usr/lib/alternatives
L /var/lib/app/link - - - - ../../usr/share/app
L /var/lib/vagrant - - - - ../../usr/lib/vagrant
d /run/app 0755 root root - -
d /var/lib 0755 root root - -
d /var/lib/app 2770 daemon games - -
d /var/lib/app/a\x20dir 0755 root root - -
d /var/log 0755 root root - -
d /var/tmp 0755 root root - -
f /run/app/old 0644 root root - -
f /run/app/pid 0644 root root - -
f /var/lib/app/state 0640 daemon root - -
`, get(t, tree.Root, "usr/lib/tmpfiles.d/rpm-ostree-autovar.conf"))
	require.Contains(t, get(t, tree.Root, "usr/lib/rpm-ostree/tmpfiles.d/app.conf"), "d /var/log/app 0755 root root - -\n")

	var stat unix.Stat_t
	for path, want := range map[string][3]uint32{
		"usr/bin/setuid":         {0o104750, 0, 9},
		"usr/bin":                {0o040755, 0, 0},
		"usr/share/app":          {0o040755, 7, 0},
		"usr/share/app/readonly": {0o040711, 0, 0},
	} {
		require.NoError(t, unix.Lstat(filepath.Join(tree.Root, path), &stat))
		require.Equal(t, want, [3]uint32{stat.Mode, stat.Uid, stat.Gid}, path)
	}
	capability := make([]byte, 64)
	size, err := unix.Lgetxattr(filepath.Join(tree.Root, "usr/bin/capable"), "security.capability", capability)
	require.NoError(t, err)
	// vfs_cap_data of linux/capability.h: revision 2, effective; permitted: 1<<13.
	require.Equal(t, "0100000200200000000000000000000000000000", fmt.Sprintf("%x", capability[:size]))

	left, err := os.ReadDir(filepath.Join(tree.Root, "var"))
	require.NoError(t, err)
	require.Empty(t, left)
	requireDatabase(t, tree.Root, 3)
}

// requireDatabase lets rpm find the database at each place where one looks.
func requireDatabase(t *testing.T, root string, packages int) {
	t.Helper()
	require.Equal(t, "SQLite format 3\x00", get(t, root, "usr/share/rpm/rpmdb.sqlite")[:16])
	for _, path := range []string{"/usr/share/rpm", "/usr/lib/sysimage/rpm", "/usr/lib/sysimage/rpm-ostree-base-db"} {
		list, err := (&Tree{Root: root, Run: tool.Host{}}).Run.Run(t.Context(), tool.Cmd{
			Name: "rpm", Args: []string{"--root=" + root, "--dbpath=" + path, "-qa", "--qf", "x"},
		})
		require.NoError(t, err)
		require.Len(t, list, packages, path)
	}
}

func TestFilesThatADeploymentHasNoPlaceForAreRefusedTogether(t *testing.T) {
	testkit.NeedTool(t, "rpm")
	testkit.NeedRoot(t)
	dir := t.TempDir()
	file := func(name string) rpmpack.RPMFile { return rpmpack.RPMFile{Name: name, Body: []byte("x"), Mode: 0o644} }
	packages := []string{
		testkit.WriteRPM(t, dir, testkit.RPM{Name: "site", Files: []rpmpack.RPMFile{file("/srv/www/a"), file("/srv/www/b"), file("/usr/bin/x")}}),
		testkit.WriteRPM(t, dir, testkit.RPM{Name: "local", Files: []rpmpack.RPMFile{file("/usr/local/bin/x")}}),
		testkit.WriteRPM(t, dir, testkit.RPM{Name: "rootfiles", Files: []rpmpack.RPMFile{file("/root/.bashrc")}}),
	}
	tree := &Tree{Root: filepath.Join(t.TempDir(), "root"), Run: tool.Host{}}
	err := tree.Unpack(t.Context(), packages, UnpackOptions{})
	require.EqualError(t, err, "package local brings /usr/local/bin/x, but an OSTree system keeps nothing of packages in /usr/local; exclude the package, or have it install below /usr\n"+
		"package site brings /srv/www/a, but an OSTree system keeps nothing of packages in /srv; exclude the package, or have it install below /usr")
	require.NoDirExists(t, tree.Root)
	require.NoError(t, tree.Unpack(t.Context(), packages[1:], UnpackOptions{UsrLocal: true}))
}

func TestPackagesMayShareFilesThatAreTheSame(t *testing.T) {
	testkit.NeedTool(t, "rpm")
	testkit.NeedRoot(t)
	dir := t.TempDir()
	shared := func(name, body string, mode uint) string {
		return testkit.WriteRPM(t, dir, testkit.RPM{Name: name, Files: []rpmpack.RPMFile{
			{Name: "/usr/share/shared", Body: []byte(body), Mode: mode}, {Name: "/usr/share/other", Body: []byte(body), Mode: mode},
		}})
	}
	a, b, c := shared("a", "same", 0o644), shared("b", "same", 0o644), shared("c", "other", 0o644)
	unpackedTree(t, a, b)
	tree := &Tree{Root: filepath.Join(t.TempDir(), "root"), Run: tool.Host{}}
	err := tree.Unpack(t.Context(), []string{a, c}, UnpackOptions{})
	require.EqualError(t, err, "unpack 2 packages: rpm: exit status 2: "+
		"file /usr/share/other conflicts between attempted installs of a-0:1-1.noarch and c-0:1-1.noarch\n"+
		"file /usr/share/shared conflicts between attempted installs of a-0:1-1.noarch and c-0:1-1.noarch")
}

func TestLinksOfTheTopLevelComeFirst(t *testing.T) {
	testkit.NeedTool(t, "rpm")
	testkit.NeedRoot(t)
	dir := t.TempDir()
	tree := unpackedTree(t,
		testkit.WriteRPM(t, dir, testkit.RPM{Name: "a", Files: []rpmpack.RPMFile{{Name: "/bin/a", Body: []byte("x"), Mode: 0o755}}}),
		testkit.WriteRPM(t, dir, testkit.RPM{Name: "z", Requires: []string{"a"}, Files: []rpmpack.RPMFile{{Name: "/bin", Body: []byte("usr/bin"), Mode: 0o120777}}}),
	)
	require.FileExists(t, filepath.Join(tree.Root, "usr/bin/a"))
	target, err := os.Readlink(filepath.Join(tree.Root, "bin"))
	require.NoError(t, err)
	require.Equal(t, "usr/bin", target)
}

func TestTheDatabaseIsTheSameForTheSamePackages(t *testing.T) {
	testkit.NeedTool(t, "rpm")
	testkit.NeedRoot(t)
	dir := t.TempDir()
	var packages []string
	for _, name := range []string{"c", "a", "b"} {
		packages = append(packages, testkit.WriteRPM(t, dir, testkit.RPM{Name: name, Files: []rpmpack.RPMFile{{Name: "/usr/share/" + name, Body: []byte(name), Mode: 0o644}}}))
	}
	var sums []string
	for _, zone := range []string{"UTC", "Asia/Shanghai"} {
		t.Setenv("TZ", zone)
		tree := unpackedTree(t, packages...)
		require.NoError(t, os.MkdirAll(filepath.Join(tree.Root, "etc"), 0o755))
		_, err := tree.Packages(t.Context()) // queries must not leave traces
		require.NoError(t, err)
		require.NoError(t, tree.Finalize(FinalOptions{}))
		sums = append(sums, fmt.Sprintf("%x", sha256.Sum256([]byte(get(t, tree.Root, "usr/share/rpm/rpmdb.sqlite")))))
		entries, err := os.ReadDir(filepath.Join(tree.Root, DBPath))
		require.NoError(t, err)
		require.Len(t, entries, 1, "no lock, no journal")
		info, err := entries[0].Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o644), info.Mode())
		time.Sleep(1100 * time.Millisecond) // another second, as the clock has it
		packages[0], packages[2] = packages[2], packages[0]
	}
	require.Equal(t, sums[0], sums[1])
}
