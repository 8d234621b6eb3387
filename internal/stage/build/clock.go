package build

import (
	"os"
	"strconv"
	"time"
)

// sourceDate is the time that SOURCE_DATE_EPOCH sets for all that is made
// (https://reproducible-builds.org/specs/source-date-epoch).
func sourceDate() (time.Time, bool) {
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	return time.Unix(seconds, 0).UTC(), err == nil
}

// versionTime is the time for the date in a version.
func (s *session) versionTime() time.Time {
	if at, ok := sourceDate(); ok {
		return at
	}
	return s.now
}

// commitTime is the time of the commit. It comes from the input alone, so that
// the same input gives the same commit: it is that of the config's last commit,
// also while its files are being edited, or without git that of the newest
// package.
func (s *session) commitTime() time.Time {
	if at, ok := sourceDate(); ok {
		return at
	}
	if s.git != nil {
		return s.git.Time
	}
	return s.epoch()
}
