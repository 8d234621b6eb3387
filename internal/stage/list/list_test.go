package list_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/stage/list"
)

var built = time.Date(2025, 1, 14, 8, 3, 10, 0, time.UTC)

func TestPrint(t *testing.T) {
	r := list.Result{Missing: true, Builds: []list.Build{
		{ID: "24.1", Time: built, Artifacts: []string{"ostree", "qemu"}, Branch: "stable",
			Commit: "0123456789abcdef", Dirty: true, Tags: []string{"tested", "good"}},
		{ID: "24.0", Time: built, Commit: "0123456789abcdef"},
	}}
	var out strings.Builder
	require.NoError(t, r.Print(&out, built.Add(26*time.Hour)))
	require.Equal(t, `24.1
   Timestamp: 2025-01-14T08:03:10Z (1d 2h ago)
   Artifacts: ostree qemu
   Config: stable (0123456789ab) (dirty)
   Tags: tested good

24.0
   Timestamp: 2025-01-14T08:03:10Z (1d 2h ago)
   Artifacts: 
   Config: (0123456789ab)

<missing builds locally>
`, out.String())
}

func TestPrintShowsAgesInTwoUnits(t *testing.T) {
	for age, want := range map[time.Duration]string{
		-time.Hour: "0m", 30 * time.Second: "0m", 59 * time.Minute: "59m",
		61 * time.Minute: "1h 1m", 25 * time.Hour: "1d 1h", 400 * 24 * time.Hour: "400d 0h",
	} {
		var out strings.Builder
		require.NoError(t, list.Result{Builds: []list.Build{{ID: "1", Time: built}}}.Print(&out, built.Add(age)))
		require.Contains(t, out.String(), "("+want+" ago)")
	}
}

func TestPrintWithoutBuilds(t *testing.T) {
	var out strings.Builder
	require.NoError(t, list.Result{}.Print(&out, built))
	require.Equal(t, "No builds!\n", out.String())
}
