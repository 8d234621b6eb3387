package rootfs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPathSubstitutions(t *testing.T) {
	const before = "/run /var/run\n/var/home /home\n/etc/init.d /etc/rc.d/init.d\n/usr/etc  /etc\n"
	const after = `/run /var/run
# /var/home /home # homes are in /var/home
/etc/init.d /etc/rc.d/init.d
/usr/etc  /etc
/home /var/home
/usr/etc/init.d /etc/rc.d/init.d
/usr/lib/opt /opt
`
	require.Equal(t, after, substitutions(before))
	require.Equal(t, after, substitutions(after), "once is enough")
}

func TestThePolicyStoreMovesToEtc(t *testing.T) {
	root := t.TempDir()
	put(t, root, "var/lib/selinux/targeted/active/modules/100/base/cil", "x")
	put(t, root, "etc/selinux/targeted/contexts/x", "x")
	put(t, root, "etc/selinux/semanage.conf", "module-store = direct\nstore-root = /elsewhere\n")
	tree := &Tree{Root: root}
	require.NoError(t, tree.PlaceState())
	require.NoError(t, tree.PlaceState())
	require.Equal(t, "x", get(t, root, "etc/selinux/targeted/active/modules/100/base/cil"))
	require.Equal(t, "module-store = direct\nstore-root=/etc/selinux\n", get(t, root, "etc/selinux/semanage.conf"))
	require.NoDirExists(t, root+"/var/lib/selinux/targeted")
}
