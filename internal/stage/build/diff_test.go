package build

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/ostree"
	"github.com/nestos/nosa-actions/internal/progress"
)

func pkg(name, epoch, version, release, arch string) ostree.Package {
	return ostree.Package{Name: name, Epoch: epoch, Version: version, Release: release, Arch: arch}
}

var (
	packagesBefore = []ostree.Package{
		pkg("down", "0", "2.0~rc1", "1", "x86_64"), pkg("gone", "0", "1", "1", "noarch"),
		pkg("same", "0", "1", "1", "noarch"), pkg("up", "1", "1.9", "1", "x86_64"),
	}
	packagesAfter = []ostree.Package{
		pkg("added", "0", "1", "1", "noarch"), pkg("down", "0", "1.9", "1", "x86_64"),
		pkg("same", "0", "1", "1", "noarch"), pkg("up", "1", "1.10", "1", "x86_64"),
	}
)

func encoded(t *testing.T, before, after []ostree.Package) string {
	list, err := encodeDiff(diff(before, after))
	require.NoError(t, err)
	text, err := json.Marshal(list)
	require.NoError(t, err)
	return string(text)
}

func TestDiffTellsWhatHappenedToEachPackage(t *testing.T) {
	require.JSONEq(t, `[
		["added", 0, {"NewPackage": ["added", "1-1", "noarch"]}],
		["down", 3, {"PreviousPackage": ["down", "2.0~rc1-1", "x86_64"], "NewPackage": ["down", "1.9-1", "x86_64"]}],
		["gone", 1, {"PreviousPackage": ["gone", "1-1", "noarch"]}],
		["up", 2, {"PreviousPackage": ["up", "1:1.9-1", "x86_64"], "NewPackage": ["up", "1:1.10-1", "x86_64"]}]
	]`, encoded(t, packagesBefore, packagesAfter))
	require.Equal(t, "[]", encoded(t, packagesBefore, packagesBefore), "an empty difference is an empty list, not null")
}

func TestDiffOfANameThatIsInstalledSeveralTimes(t *testing.T) {
	before := []ostree.Package{
		pkg("libc", "0", "2.36", "1", "i686"), pkg("libc", "0", "2.36", "1", "x86_64"),
		pkg("kernel", "0", "6.1", "1", "x86_64"), pkg("kernel", "0", "6.2", "1", "x86_64"),
		pkg("moved", "0", "1", "1", "x86_64"),
	}
	after := []ostree.Package{
		pkg("libc", "0", "2.37", "1", "x86_64"), pkg("libc", "0", "2.36", "1", "i686"),
		pkg("kernel", "0", "6.2", "1", "x86_64"), pkg("kernel", "0", "6.3", "1", "x86_64"),
		pkg("moved", "0", "2", "1", "noarch"),
	}
	require.JSONEq(t, `[
		["kernel", 2, {"PreviousPackage": ["kernel", "6.1-1", "x86_64"], "NewPackage": ["kernel", "6.3-1", "x86_64"]}],
		["libc", 2, {"PreviousPackage": ["libc", "2.36-1", "x86_64"], "NewPackage": ["libc", "2.37-1", "x86_64"]}],
		["moved", 2, {"PreviousPackage": ["moved", "1-1", "x86_64"], "NewPackage": ["moved", "2-1", "noarch"]}]
	]`, encoded(t, before, after))
	require.JSONEq(t, `[["libc", 1, {"PreviousPackage": ["libc", "2.36-1", "i686"]}]]`, encoded(t, before[:2], before[1:2]))
}

func TestTheLogNamesChangesByKind(t *testing.T) {
	var said bytes.Buffer
	tell(progress.New(&said), "build 1.0", diff(packagesBefore, packagesAfter))
	require.Equal(t, `packages that differ from build 1.0: 4
  upgraded    up 1:1.9-1 -> 1:1.10-1
  downgraded  down 2.0~rc1-1 -> 1.9-1
  removed     gone 1-1
  added       added 1-1
`, said.String())
	said.Reset()
	tell(progress.New(&said), "build 1.0", nil)
	require.Equal(t, "no package differs from build 1.0\n", said.String())
}
