package compose_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// checked composes everything that preserve-passwd and the checks take part in:
// container: true would turn both off.
const checked = "selinux: false\nno-initramfs: true\nboot-location: modules\n"

func TestAccountsOfTheConfigAreSplitAndKept(t *testing.T) {
	l := newLab(t)
	// Blank lines, comments and one number for two names are in real files.
	write(t, l.config, "passwd", "# of the distribution\nroot:x:0:0:root:/root:/bin/sh\n\ndaemon:x:2:2::/:/sbin/nologin\nextra:x:700:701:x:/:/bin/sh\nnobody:x:65534:65534::/:/sbin/nologin\napp:x:501:501::/:/sbin/nologin\n")
	write(t, l.config, "group", "root:x:0:\nadm:x:4:\nwheel:x:10:\n\nisula:x:986:\ndockerroot:x:986:\ndaemon:x:2:\nnobody:x:65534:\napp:x:501:\n")
	c := l.compose(checked + `
check-passwd: {type: file, filename: passwd}
check-groups: {type: file, filename: group}
ignore-removed-users: [root]
ignore-removed-groups: [root]
etc-group-members: [wheel, adm]
`)
	require.Equal(t, "root:x:0:0:root:/root:/bin/sh\n", c.cat("/usr/etc/passwd"))
	require.Contains(t, c.cat("/usr/lib/passwd"), "extra:x:700:701:x:/:/bin/sh\n", "seeded, though no package has it")
	require.NotContains(t, c.cat("/usr/lib/passwd"), "#")
	require.NotContains(t, c.cat("/usr/lib/passwd"), "root:")
	require.Equal(t, "root:x:0:\nadm:x:4:\nwheel:x:10:\n", c.cat("/usr/etc/group"))
	require.Contains(t, c.cat("/usr/lib/group"), "wheel:x:10:\n", "in both, so that people can be added")
	require.Contains(t, c.cat("/usr/lib/group"), "isula:x:986:\ndockerroot:x:986:\n")
	for _, path := range []string{"/usr/etc/passwd", "/usr/etc/group", "/usr/lib/passwd", "/usr/lib/group"} {
		c.mode(path, "-", "0644")
	}
	require.Equal(t, "passwd: files altfiles systemd\ngroup: files altfiles\nshadow: files\nhosts: files dns\n", c.cat("/usr/etc/nsswitch.conf"))
	require.Equal(t, "501:501", c.entries["/usr/libexec/app-owned"].Owner)
}

func TestAccountsOfTheTreefile(t *testing.T) {
	l := newLab(t)
	data := `
check-passwd: {type: data, entries: {root: 0, daemon: [2, 2], nobody: 65534, extra: [700, 701]}}
check-groups: {type: data, entries: {root: 0, daemon: 2, nobody: 65534, extra: 701}}
`
	c := l.compose(checked + data)
	require.Contains(t, c.cat("/usr/lib/passwd"), "extra:x:700:701::/:/sbin/nologin\n")
	require.Contains(t, c.cat("/usr/lib/group"), "extra:x:701:\n")
	require.Contains(t, c.cat("/usr/etc/shadow"), "extra:!*:::::::\n", "seeded accounts can be locked and unlocked like others")
	require.Contains(t, c.cat("/usr/etc/gshadow"), "extra:!*::\n")

	c = l.compose(checked + "preserve-passwd: false\ncheck-passwd: {type: none}\ncheck-groups: {type: none}\n")
	require.NotContains(t, c.cat("/usr/lib/passwd"), "extra:", "not even from the previous commit")
	require.Contains(t, c.cat("/usr/lib/passwd"), "daemon:")

	l.refuses(checked+data+postprocess("echo extra:x:702:703::/: >/etc/passwd.new; grep -v extra: /etc/passwd >>/etc/passwd.new; mv /etc/passwd.new /etc/passwd"),
		`manifest.yaml:11:78: user "extra" has uid 702 in the tree, but 700 in check-passwd`,
		`user "extra" has gid 703 in the tree, but 701 in check-passwd`)
}

func TestAccountsOfThePreviousCommit(t *testing.T) {
	l := newLab(t)
	first := l.compose(checked + postprocess("echo old:x:300:300::/: >>/etc/passwd; echo old:x:300: >>/etc/group", "touch /usr/share/old; chown 300:300 /usr/share/old"))
	require.Contains(t, first.cat("/usr/lib/passwd"), "old:x:300:")

	c := l.compose(checked + "etc-group-members: [wheel]\n")
	require.Contains(t, c.cat("/usr/lib/passwd"), "old:x:300:", "seeded from the previous commit")

	t.Log("gone, and nothing belongs to it: a note")
	const drop = "grep -v old: /etc/passwd >/etc/p; mv /etc/p /etc/passwd"
	c = l.compose(checked + postprocess(drop))
	require.Contains(t, c.said, `check-passwd: user "old" (uid 300 in build 1.1) is gone; no file belongs to it`)
	require.NotContains(t, c.cat("/usr/lib/passwd"), "old:")
	require.Contains(t, c.cat("/usr/lib/group"), "old:x:300:")

	t.Log("gone, but a file belongs to it: refused unless ignored")
	const dropGroup = "grep -v old: /etc/group >/etc/p; mv /etc/p /etc/group"
	const keep = "touch /usr/share/old /usr/share/older; chown 0:300 /usr/share/old /usr/share/older"
	l.refuses(checked+postprocess(dropGroup, keep),
		`group "old" (gid 300 in build 1.2) is gone from the tree, but still owns /usr/share/old and 1 more; bring it back, or list it under ignore-removed-groups`)
	c = l.compose(checked + "ignore-removed-groups: [\"*\"]\n" + postprocess(dropGroup, keep))
	require.NotContains(t, c.cat("/usr/lib/group"), "old:")

	t.Log("changed: refused, both numbers named")
	l.refuses(checked+postprocess("cat /etc/passwd | while read l; do case $l in daemon:*) echo daemon:x:99:2::/:/sbin/nologin;; *) echo $l;; esac; done >/etc/p; mv /etc/p /etc/passwd"),
		`user "daemon" has uid 99 in the tree, but 2 in build 1.3`)
}

func TestAReferenceFileIsNamedWithItsLine(t *testing.T) {
	l := newLab(t)
	write(t, l.config, "passwd", "root:x:0:0:root:/root:/bin/sh\n\ndaemon:x:2:2::/:/sbin/nologin\n")
	write(t, l.config, "group", "root:x:0:\ndaemon:x:2:\n")
	keys := checked + "check-passwd: {type: file, filename: passwd}\ncheck-groups: {type: file, filename: group}\n"
	l.refuses(keys+postprocess("echo root:x:0:0:root:/root:/bin/sh >/etc/passwd; echo daemon:x:3:2::/: >>/etc/passwd"),
		`/passwd:3:1: user "daemon" has uid 3 in the tree, but 2 in passwd`)

	write(t, l.config, "passwd", "root:x:zero:0:root:/root:/bin/sh\nbroken\n")
	l.refuses(keys, `/passwd:1:1: user "root": uid "zero" is not a number from 0 to 4294967294`, `/passwd:2:1: "broken" is no user; expected NAME:PASSWORD:UID:GID`)
}

func TestUsersOfTheConfigWithGroupsOfThePreviousCommitAreRefused(t *testing.T) {
	l := newLab(t)
	l.refuses(checked+"check-groups: {type: data, entries: {root: 0}}\n",
		"manifest.yaml:", "check-groups is of type data, but check-passwd of type previous", "give check-passwd a file or data too")
}
