package manifest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/manifest"
)

func TestNextVersion(t *testing.T) {
	// Late in the evening west of Greenwich, so the next day in UTC.
	now := time.Date(2025, 1, 13, 22, 30, 0, 0, time.FixedZone("", -3*60*60))
	cases := []struct {
		prefix, previous string
		suffix           byte
		want             string
	}{
		{"24.03-LTS.<date:%Y%m%d>", "", '.', "24.03-LTS.20250114.0"},
		{"24.03-LTS.<date:%Y%m%d>", "24.03-LTS.20250114.0", '.', "24.03-LTS.20250114.1"},
		{"24.03-LTS.<date:%Y%m%d>", "24.03-LTS.20250113.1", '.', "24.03-LTS.20250114.0"},
		{"40.<date:%Y%m%d>.dev", "40.20250114.dev.3", '.', "40.20250114.dev.4"},
		{"<date:%Y>", "2025", '.', "2025.0"},
		{"<date:%s>", "", '.', "1736818200.0"},
		{"10", "", '.', "10"},
		{"10", "10", '.', "10.1"},
		{"10", "10x.1", '.', "10"},
		{"10", "10.", '.', "10.1"},
		{"10", "10.x", '.', "10.1"},
		{"10", "10.9-rc", '.', "10.10"},
		{"10.1", "10.1.5", '.', "10.1.6"},
		{"10", "9", '.', "10"},
		{"10", "10-4", '-', "10-5"},
		{"10", "10", '-', "10-1"},
		{"10", "10.4", '-', "10"},
		{"10.<wall:x>", "", '.', "10.<wall:x>"},
		{"1", "1.18446744073709551615", '.', "1.18446744073709551616"},
	}
	for _, c := range cases {
		got, err := manifest.NextVersion(c.prefix, c.previous, c.suffix, now)
		require.NoError(t, err, c)
		require.Equal(t, c.want, got, c)
	}
}

func TestNextVersionRefusesABadDateFormat(t *testing.T) {
	for _, format := range []string{"%Q", "%", ""} {
		_, err := manifest.NextVersion("1.<date:"+format+">", "", '.', time.Now())
		require.EqualError(t, err, `version prefix "1.<date:`+format+`>": "`+format+`" is not a date format`)
	}
}
