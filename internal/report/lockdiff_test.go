package report

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
)

func TestLockfilesAreCompared(t *testing.T) {
	before := `{"packages": {"kernel": {"evra": "6.6.0-10.x86_64"}, "vim": {"evra": "2:9.0-1.noarch"}, "nano": {"evr": "7-1"}, "same": {"evra": "1-1.noarch", "digest": "sha256:aa"}}}`
	now := `{"packages": {"kernel": {"evra": "6.6.0-9.x86_64"}, "vim": {"evra": "2:9.1-1.noarch"}, "a|b<script>": {"evra": "1-1.noarch"}, "same": {"evra": "1-1.noarch"}}, "metadata": {}}`

	d, err := DiffLocks([]byte(before), []byte(now))

	require.NoError(t, err)
	require.Equal(t, 4, d.Changed)
	testkit.Golden(t, "lockdiff.md", []byte(d.Markdown("manifest-lock.x86_64.json")))

	d, err = DiffLocks(nil, []byte(now))
	require.NoError(t, err)
	require.Equal(t, 4, d.Changed)
}

func TestWhatIsNoLockfileIsRefused(t *testing.T) {
	for text, says := range map[string]string{
		`<html>`: "no lockfile", `{}`: "names no packages", `{"packages": []}`: "no lockfile", `{"packages": {"x": {}}}`: `package "x" has no version`,
	} {
		_, err := DiffLocks(nil, []byte(text))
		require.ErrorContains(t, err, says)
	}
}
