package report

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBuildsAreComparedByPackagesAndSizes(t *testing.T) {
	before := Known{
		BuildID: "1.0|x", Commit: "a", Images: map[string]int64{"ostree": 1000, "qemu": 500, "gone": 1},
		Packages: map[string]string{"bash.x86_64": "5.1-1", "vim.x86_64": "9-1", "kernel.x86_64": "6.6.0-10", "nano.noarch": "1-1", "tz.noarch": "2:1-1"},
	}
	now := Known{
		BuildID: "1.1", Commit: "b", Images: map[string]int64{"ostree": 1100, "metal": 7},
		Packages: map[string]string{"bash.x86_64": "5.1-1", "vim.x86_64": "9-2", "kernel.x86_64": "6.6.0-9", "<b>.noarch": "1-1", "tz.noarch": "2:1-1"},
	}
	require.Equal(t, `
#### Since build 1.0&#124;x of the base branch

| Package | Change | Before | Now |
| --- | --- | --- | --- |
| &#60;b&#62;.noarch | Added |  | 1-1 |
| kernel.x86&#95;64 | Downgraded | 6.6.0-10 | 6.6.0-9 |
| nano.noarch | Removed | 1-1 |  |
| vim.x86&#95;64 | Upgraded | 9-1 | 9-2 |

| Artifact | Before | Now | Change |
| --- | --- | --- | --- |
| ostree | 1 kB | 1.1 kB | +10.0 % |
`, Compare("build 1.0|x of the base branch", before, now))

	now.Packages = before.Packages
	require.Contains(t, Compare("build 1.0|x of the base branch", before, now), "No package changed.")
	now.Commit = "a"
	require.Contains(t, Compare("build 1.0|x of the base branch", before, now), "The commit is the same.")
	require.Contains(t, Compare("release v1", Known{}, now), "| bash.x86&#95;64 | Added |")
}
