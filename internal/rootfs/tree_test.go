package rootfs

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/google/rpmpack"
	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

func put(t *testing.T, root, path, text string) {
	t.Helper()
	file := filepath.Join(root, path)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
}

func get(t *testing.T, root, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	return string(text)
}

func TestUnpackAndScriptletsGoInOrder(t *testing.T) {
	testkit.NeedTool(t, "rpm", "bwrap")
	testkit.NeedRoot(t)
	busybox := "/bin/busybox"
	testkit.NeedTool(t, busybox)
	shell, err := os.ReadFile(busybox)
	require.NoError(t, err)
	dir := t.TempDir()
	note := func(what string) string { return "echo " + what + " >>/etc/order" }
	packages := []string{
		testkit.WriteRPM(t, dir, testkit.RPM{Name: "b", Requires: []string{"a"}, Pre: note("b-pre"), Post: note("b-post"), Posttrans: note("b-posttrans")}),
		testkit.WriteRPM(t, dir, testkit.RPM{
			Name: "a", Provides: []string{"/bin/sh"}, Post: "[ -O /usr/bin/su ] && exit 9\n" + note("a-post"), // owners come before
			Pre: "echo app:x:77:77::/:/bin/sh >>/etc/passwd; echo app:x:78: >>/etc/group",
			Files: []rpmpack.RPMFile{
				{Name: "/bin/sh", Body: shell, Mode: 0o755},
				{Name: "/usr/bin/su", Body: []byte("x"), Mode: 0o4755, Owner: "app", Group: "app"},
				{Name: "/usr/share/doc/a", Body: []byte("x"), Mode: 0o644, Type: rpmpack.DocFile},
				{Name: "/etc/order", Mode: 0o644},
			},
		}),
	}
	tree := &Tree{Root: filepath.Join(t.TempDir(), "root"), Run: tool.Host{}, Epoch: time.Unix(1700000000, 0)}

	require.NoError(t, tree.Unpack(t.Context(), packages, UnpackOptions{NoDocs: true}))
	require.NoFileExists(t, filepath.Join(tree.Root, "usr/share/doc/a"))
	require.Empty(t, get(t, tree.Root, "etc/order"), "unpacking runs no script")

	ran, err := tree.Scriptlets(t.Context(), ScriptOptions{Scratch: t.TempDir()})
	require.NoError(t, err)
	require.Equal(t, 5, ran)
	require.Equal(t, "b-pre\na-post\nb-post\nb-posttrans\n", get(t, tree.Root, "etc/order"))
	info, err := os.Stat(filepath.Join(tree.Root, "usr/bin/su"))
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeSetuid, "set-id survives the change of owner")

	list, err := tree.Packages(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 2)
}

func TestAFailingScriptletIsNamedWithItsWords(t *testing.T) {
	testkit.NeedTool(t, "rpm", "bwrap", "/bin/busybox")
	testkit.NeedRoot(t)
	shell, err := os.ReadFile("/bin/busybox")
	require.NoError(t, err)
	path := testkit.WriteRPM(t, t.TempDir(), testkit.RPM{
		Name: "bad", Provides: []string{"/bin/sh"}, Post: "echo no such thing >&2; exit 3",
		Files: []rpmpack.RPMFile{{Name: "/bin/sh", Body: shell, Mode: 0o755}},
	})
	tree := &Tree{Root: filepath.Join(t.TempDir(), "root"), Run: tool.Host{}, Epoch: time.Unix(0, 0)}
	require.NoError(t, tree.Unpack(t.Context(), []string{path}, UnpackOptions{}))
	_, err = tree.Scriptlets(t.Context(), ScriptOptions{Scratch: t.TempDir()})
	require.EqualError(t, err, "script %post of package bad: exit status 3: no such thing")
}

func TestScriptsSeeNeitherNetworkNorHostNorVar(t *testing.T) {
	testkit.NeedTool(t, "bwrap", "/bin/busybox")
	testkit.NeedRoot(t)
	shell, err := os.ReadFile("/bin/busybox")
	require.NoError(t, err)
	root := t.TempDir()
	put(t, root, "usr/bin/busybox", string(shell))
	require.NoError(t, os.Chmod(filepath.Join(root, "usr/bin/busybox"), 0o755))
	put(t, root, "etc/conf", "old")
	put(t, root, "var/lib/state", "old")
	t.Setenv("SECRET_TOKEN", "hush")
	tree := &Tree{Root: root, Run: tool.Host{}}
	body := `#!/usr/bin/busybox sh
set -u
b=/usr/bin/busybox
echo new >/usr/etc/conf                      # the same file as /etc/conf
! echo x 2>/dev/null >/var/lib/state || echo "var is writable"
echo x >/var/tmp/scratch
$b test -z "${SECRET_TOKEN-}" || echo "environment leaks"
$b test -z "$($b ls -A /run)" || $b ls -A /run
$b grep -q : /proc/net/dev && $b grep -v -e lo: -e '|' /proc/net/dev && echo "network"
exit 0
`
	var said bytes.Buffer
	require.NoError(t, tree.Postprocess(t.Context(), []Script{{Body: body, From: "manifest.yaml:3"}}, "", &said))
	require.Empty(t, said.String())
	require.Equal(t, "new\n", get(t, root, "etc/conf"))
	require.Equal(t, "old", get(t, root, "var/lib/state"))
	require.NoDirExists(t, filepath.Join(root, "usr/etc"))
	require.NoFileExists(t, filepath.Join(root, "usr/bin/rpmostree-postprocess-inline-0"))

	err = tree.Postprocess(t.Context(), []Script{{Body: "#!/usr/bin/busybox sh\nexit 4\n", From: "manifest.yaml:3"}}, "", nil)
	require.ErrorContains(t, err, "manifest.yaml:3: postprocess script: bwrap: exit status 4")
}

func TestLayKeepsTheTreeUnlessToldOtherwise(t *testing.T) {
	root, overlay := t.TempDir(), t.TempDir()
	require.NoError(t, os.Symlink("usr/bin", filepath.Join(root, "bin")))
	put(t, root, "usr/bin/tool", "old")
	put(t, root, "etc/same", "same")
	put(t, overlay, "bin/added", "new")     // through the link, as packages have it
	put(t, overlay, "usr/etc/conf", "conf") // to /etc
	put(t, overlay, "etc/same", "same")
	tree := &Tree{Root: root}

	require.NoError(t, tree.Lay(overlay, false))
	require.Equal(t, "new", get(t, root, "usr/bin/added"))
	require.Equal(t, "conf", get(t, root, "etc/conf"))

	other := t.TempDir()
	put(t, other, "usr/bin/tool", "new")
	require.EqualError(t, tree.Lay(other, false), "/usr/bin/tool is in the tree already and differs")
	require.NoError(t, tree.Lay(other, true))
	require.Equal(t, "new", get(t, root, "usr/bin/tool"))
}

func TestLinksInTheTreeNeverLeadOut(t *testing.T) {
	root, outside, overlay := t.TempDir(), t.TempDir(), t.TempDir()
	require.NoError(t, os.Symlink(outside, filepath.Join(root, "opt")))
	require.NoError(t, os.Symlink("../../../../../..", filepath.Join(root, "up")))
	put(t, overlay, "up/escaped", "x")
	tree := &Tree{Root: root}
	require.NoError(t, tree.Lay(overlay, false))
	require.FileExists(t, filepath.Join(root, "escaped"))

	path, err := tree.resolve("/opt/file")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(root, outside, "file"), path)
}

func TestFinalizeMakesADeployableTree(t *testing.T) {
	root := t.TempDir()
	for path, text := range map[string]string{
		"etc/conf": "c", "etc/machine-id": "1", "etc/passwd-": "", "etc/shadow": "root:*:19000:0:99999:7:::\n",
		"etc/passwd": "root:x:0:0::/root:/bin/sh\napp:x:77:78::/:/bin/sh\n", "etc/group": "root:x:0:\napp:x:78:\nwheel:x:10:\n",
		"etc/nsswitch.conf":            "passwd: files systemd\ngroup: files\nhosts: files dns\n",
		"usr/lib/libnss_altfiles.so.2": "",
		"usr/lib/tmpfiles.d/app.conf":  "d /var/lib/app 0755 - - -\n",
		"usr/share/rpm/rpmdb.sqlite":   "SQLite format 3\x00........",
		"var/lib/app/state":            "x",
		"var/lib/other thing/100%":     "x",
		"run/app/x":                    "x",
		"opt/vendor/bin/x":             "x",
		"boot/left":                    "x",
		"usr/local/x":                  "x",
		"srv/x":                        "x",
	} {
		put(t, root, path, text)
	}
	require.NoError(t, os.Chmod(filepath.Join(root, "var/lib/other thing"), os.ModeSetgid|0o750))
	require.NoError(t, os.Symlink("../lib/app", filepath.Join(root, "var/link")))
	tree := &Tree{Root: root}

	require.NoError(t, tree.Finalize(FinalOptions{TmpIsDir: true, EtcGroupMembers: []string{"wheel"}, OptUsrlocal: "var"}))

	require.Equal(t, "c", get(t, root, "usr/etc/conf"))
	require.NoFileExists(t, filepath.Join(root, "usr/etc/machine-id"))
	require.NoFileExists(t, filepath.Join(root, "usr/etc/passwd-"))
	require.Equal(t, "root:*::0:99999:7:::\n", get(t, root, "usr/etc/shadow"))
	require.Equal(t, "root:x:0:0::/root:/bin/sh\n", get(t, root, "usr/etc/passwd"))
	require.Equal(t, "app:x:77:78::/:/bin/sh\n", get(t, root, "usr/lib/passwd"))
	require.Equal(t, "root:x:0:\nwheel:x:10:\n", get(t, root, "usr/etc/group"))
	require.Equal(t, "app:x:78:\nwheel:x:10:\n", get(t, root, "usr/lib/group"))
	require.Equal(t, "passwd: files altfiles systemd\ngroup: files altfiles\nhosts: files dns\n", get(t, root, "usr/etc/nsswitch.conf"))
	require.Equal(t, `# Made of what packages brought to /var, /run and /opt.
L /opt/vendor - - - - ../../usr/lib/opt/vendor
L /var/link - - - - ../lib/app
d /run/app 0755 root root - -
d /var/lib 0755 root root - -
d /var/lib/other\x20thing 2750 root root - -
`, get(t, root, "usr/lib/tmpfiles.d/rpm-ostree-autovar.conf"))
	require.Equal(t, "x", get(t, root, "usr/lib/opt/vendor/bin/x"))
	require.Equal(t, "\x01\x01", get(t, root, "usr/share/rpm/rpmdb.sqlite")[18:20])

	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	var top []string
	for _, e := range entries {
		name := e.Name()
		if target, err := os.Readlink(filepath.Join(root, name)); err == nil {
			name += " -> " + target
		}
		top = append(top, name)
	}
	require.Equal(t, []string{
		"boot", "dev", "home -> var/home", "media -> run/media", "mnt -> var/mnt", "opt -> var/opt",
		"ostree -> sysroot/ostree", "proc", "root -> var/roothome", "run", "srv -> var/srv", "sys", "sysroot", "tmp", "usr", "var",
	}, top)
	left, err := os.ReadDir(filepath.Join(root, "var"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestPlaceKernelWantsExactlyOne(t *testing.T) {
	root := t.TempDir()
	tree := &Tree{Root: root}
	_, err := tree.PlaceKernel()
	require.ErrorContains(t, err, "the tree has no kernel")

	put(t, root, "boot/vmlinuz-6.1.0", "kernel")
	put(t, root, "boot/config-6.1.0", "config")
	put(t, root, "boot/initrd.img-6.1.0", "shipped")
	put(t, root, "boot/efi/x", "x")
	version, err := tree.PlaceKernel()
	require.NoError(t, err)
	require.Equal(t, "6.1.0", version)
	require.Equal(t, "kernel", get(t, root, "usr/lib/modules/6.1.0/vmlinuz"))
	require.Equal(t, "config", get(t, root, "usr/lib/modules/6.1.0/config"))
	require.NoFileExists(t, filepath.Join(root, "usr/lib/ostree-boot/initrd.img-6.1.0"))
	require.Equal(t, "x", get(t, root, "usr/lib/ostree-boot/efi/x"))

	put(t, root, "boot/vmlinuz-6.2.0", "kernel")
	_, err = tree.PlaceKernel()
	require.EqualError(t, err, "the tree has 2 kernels (6.1.0, 6.2.0); a bootable tree has one")
}

func TestMutateOSRelease(t *testing.T) {
	require.Equal(t, "NAME=\"NestOS 24.03\"\nVERSION=\"24.03.20260101.0 (LTS)\"\nOSTREE_VERSION='24.03.20260101.0'\n",
		mutateOSRelease("NAME=\"NestOS 24.03\"\n\nVERSION=\"24.03 (LTS)\"\n", "24.03", "24.03.20260101.0"))
}

func TestManifestEdits(t *testing.T) {
	root, source := t.TempDir(), t.TempDir()
	put(t, root, "usr/share/info/dir", "x")
	put(t, root, "etc/gone", "x")
	put(t, root, "etc/dir/x", "x")
	put(t, source, "motd", "hello")
	tree := &Tree{Root: root}
	require.NoError(t, tree.RemoveFiles([]string{"usr/share/info", "usr/etc/gone", "usr/not/../etc/dir", "usr/not/there"}))
	require.NoDirExists(t, filepath.Join(root, "usr/share/info"))
	require.NoFileExists(t, filepath.Join(root, "etc/gone"))
	require.NoDirExists(t, filepath.Join(root, "etc/dir"))
	require.NoError(t, tree.AddFiles([]AddedFile{{Source: filepath.Join(source, "motd"), Dest: "usr/etc/motd"}}))
	require.Equal(t, "hello", get(t, root, "etc/motd"))
	require.NoError(t, tree.EnableUnits([]string{"sshd.service"}))
	require.NoError(t, tree.SetDefaultTarget("multi-user.target"))
	link, err := os.Readlink(filepath.Join(root, "usr/lib/systemd/system/default.target"))
	require.NoError(t, err)
	require.Equal(t, "multi-user.target", link)
}

func TestRemovalPatternsAreSearchedInTheFinalPath(t *testing.T) {
	patterns := []*regexp.Regexp{regexp.MustCompile("/etc/grub.d/10_x")}
	require.True(t, matchesAny(patterns, inCommit("/etc/grub.d/10_x")))
	require.False(t, matchesAny([]*regexp.Regexp{regexp.MustCompile("^/etc")}, inCommit("/etc/grub.d/10_x")))
}
