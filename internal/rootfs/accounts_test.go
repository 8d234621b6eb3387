package rootfs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/diag"
)

func TestTheGroupsOfNestOSAreRead(t *testing.T) {
	text, err := os.ReadFile("../../../shared/data/nestos-config/manifests/group")
	if err != nil {
		t.Skip("the configs of NestOS are not beside this repository")
	}
	var found diag.List
	groups := ParseAccounts(Groups, string(text), "group", &found)
	require.NoError(t, found.Err(), "a blank line and a number for two names are no faults")
	require.Equal(t, Account{Name: "root", Pos: diag.Pos{File: "group", Line: 1, Column: 1}}, groups[0])
	same := 0
	for _, g := range groups {
		if g.ID == 986 {
			same++
		}
	}
	require.Equal(t, 2, same)
}

func TestMergedAccountsKeepTheFirstOfAName(t *testing.T) {
	require.Equal(t, "a:x:1:\nb:x:2:\n", MergeAccounts("# c\n a:x:1:\n\n", "a:x:9:\nb:x:2:"))
}

func TestAltfilesComesAfterFiles(t *testing.T) {
	for in, want := range map[string]string{
		"passwd:  files sss\n":       "passwd:  files altfiles sss\n",
		"group: sss\n":               "group: sss altfiles\n",
		"group: files altfiles\n":    "group: files altfiles\n",
		"shadow: files\n":            "shadow: files\n",
		"# passwd: files\n":          "# passwd: files\n",
		"passwd: files # altfiles\n": "passwd: files # altfiles\n",
	} {
		require.Equal(t, want, addAltfiles(in))
	}
}

func TestNumbersAreComparedAndOwnersLookedFor(t *testing.T) {
	root := t.TempDir()
	put(t, root, "usr/lib/group", "kept:x:5:\nmoved:x:7:\nnew:x:8:\n")
	put(t, root, "usr/etc/group", "root:x:0:\nkept:x:5:\n")
	put(t, root, "usr/share/theirs", "x")
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chown(filepath.Join(root, "usr/share/theirs"), 0, 12))
	}
	var found diag.List
	reference := ParseAccounts(Groups, "root:x:0:\nkept:x:5:\nkept:x:99:\nmoved:x:6:\nharmless:x:11:\nowner:x:12:\nignored:x:12:\n", "group", &found)
	ref := Reference{Kind: Groups, Accounts: reference, Origin: "group", Ignore: []string{"ignored"}}

	notes, err := (&Tree{Root: root}).CheckAccounts(ref, &found)

	require.NoError(t, err)
	require.Contains(t, notes, `group "harmless" (gid 11 in group) is gone; no file belongs to it`)
	require.Contains(t, notes, `group "new" (gid 8) is new`)
	want := `group:4:1: group "moved" has gid 7 in the tree, but 6 in group; systems that update keep their files under the old number; make the two the same`
	if os.Geteuid() == 0 {
		want += "\n" + `group:6:1: group "owner" (gid 12 in group) is gone from the tree, but still owns /usr/share/theirs; bring it back, or list it under ignore-removed-groups`
	}
	require.EqualError(t, found.Err(), want)
}

func FuzzParseAccounts(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/sh\n")
	f.Add("# a\n\n+::\na:b\nx:y:4294967295:0\n")
	f.Fuzz(func(t *testing.T, text string) {
		var found diag.List
		accounts := ParseAccounts(Users, text, "passwd", &found)
		for _, a := range accounts {
			require.NotEmpty(t, a.Name)
			require.NotContains(t, a.Name, ":")
			require.LessOrEqual(t, a.Pos.Line, strings.Count(text, "\n")+1)
			again := ParseAccounts(Users, a.Line(Users), "", &found)
			require.Len(t, again, 1, "what we write we read: %q", a.Line(Users))
			require.Equal(t, a.ID, again[0].ID)
		}
		require.Equal(t, MergeAccounts(text), MergeAccounts(MergeAccounts(text)))
	})
}
