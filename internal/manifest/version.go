package manifest

import (
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"time"

	"github.com/lestrrat-go/strftime"

	"github.com/nestos/nosa-actions/internal/diag"
)

var versionTag = regexp.MustCompile(`<([a-zA-Z]+):([^>]*)>`)

// NextVersion is the version after previous, which may be empty. In the prefix
// <date:FORMAT> stands for now in UTC, FORMAT being strftime's; other tags stay
// as they are. The suffix, usually '.', stands before the number that counts up
// as long as the versions begin with the same prefix.
func NextVersion(prefix, previous string, suffix byte, now time.Time) (string, error) {
	prefix, dated, err := expandDates(prefix, now)
	if err != nil {
		return "", err
	}
	first := prefix
	if dated {
		first += string(suffix) + "0"
	}
	rest, follows := strings.CutPrefix(previous, prefix)
	switch {
	case previous == "" || !follows:
		return first, nil
	case rest == "" && dated:
		return first, nil
	case rest == "":
		return prefix + string(suffix) + "1", nil
	case rest[0] != suffix:
		return first, nil
	}
	digits := rest[1:]
	if end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		digits = digits[:end]
	}
	n, _ := new(big.Int).SetString("0"+digits, 10)
	return fmt.Sprintf("%s%c%d", prefix, suffix, n.Add(n, big.NewInt(1))), nil
}

// expandDates replaces the date tags and tells whether there were any.
func expandDates(prefix string, now time.Time) (expanded string, dated bool, err error) {
	expanded = versionTag.ReplaceAllStringFunc(prefix, func(tag string) string {
		m := versionTag.FindStringSubmatch(tag)
		if m[1] != "date" {
			return tag
		}
		dated = true
		format, formatErr := strftime.New(m[2], strftime.WithUnixSeconds('s'))
		if formatErr != nil || m[2] == "" {
			err = fmt.Errorf("version prefix %q: %q is not a date format", prefix, m[2])
			return tag
		}
		return format.FormatString(now.UTC())
	})
	return expanded, dated, err
}

// checkVersion tries the prefix, so that a mistake in it is found before the
// compose.
func (m *Manifest) checkVersion(found *diag.List) {
	n, ok := m.tree["automatic-version-prefix"]
	if !ok {
		return
	}
	if n.Text == "" {
		n.Reject(found, "must not be empty", "")
		return
	}
	if _, _, err := expandDates(n.Text, time.Unix(0, 0)); err != nil {
		n.Reject(found, err.Error(), "")
	}
	for _, tag := range versionTag.FindAllStringSubmatch(n.Text, -1) {
		if tag[1] != "date" {
			found.Warnf(n.Pos, "automatic-version-prefix: %s is not known and stays as it is", tag[0])
		}
	}
}
