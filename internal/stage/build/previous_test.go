package build

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/lock"
)

func locked(t *testing.T, packages map[string]string) *lock.File {
	file := lock.New(time.Unix(1700000000, 0))
	for name, version := range packages {
		exact, err := lock.ParseEVRA(version)
		require.NoError(t, err)
		file.Add(name, exact, "")
	}
	return file
}

func TestDiffTellsWhatHappenedToEachPackage(t *testing.T) {
	before := locked(t, map[string]string{
		"same": "1-1.noarch", "up": "1:1.9-1.x86_64", "down": "2.0~rc1-1.x86_64", "gone": "1-1.noarch",
	})
	after := locked(t, map[string]string{
		"same": "1-1.noarch", "up": "1:1.10-1.x86_64", "down": "1.9-1.x86_64", "added": "1-1.noarch",
	})
	changes, err := diff(before, after)
	require.NoError(t, err)
	text, err := json.Marshal(changes)
	require.NoError(t, err)
	require.JSONEq(t, `[
		["added", 0, {"NewPackage": ["added", "1-1", "noarch"]}],
		["down", 3, {"PreviousPackage": ["down", "2.0~rc1-1", "x86_64"], "NewPackage": ["down", "1.9-1", "x86_64"]}],
		["gone", 1, {"PreviousPackage": ["gone", "1-1", "noarch"]}],
		["up", 2, {"PreviousPackage": ["up", "1:1.9-1", "x86_64"], "NewPackage": ["up", "1:1.10-1", "x86_64"]}]
	]`, string(text))

	none, err := diff(before, before)
	require.NoError(t, err)
	text, err = json.Marshal(none)
	require.NoError(t, err)
	require.Equal(t, "[]", string(text), "an empty difference is an empty list, not null")
}
