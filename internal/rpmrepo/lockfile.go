package rpmrepo

import (
	"fmt"
	"time"

	"github.com/nestos/nosa-actions/internal/lock"
)

// Lockfile writes the solution down as a lockfile, dated by the newest of the
// repositories, so that the same solution gives the same file.
func (s *Solution) Lockfile() (*lock.File, error) {
	var newest int64
	repos := map[string]lock.Repo{}
	for id, seconds := range s.Repos {
		newest = max(newest, seconds)
		repos[id] = lock.Repo{Generated: time.Unix(seconds, 0).UTC()}
	}
	file := lock.New(time.Unix(newest, 0))
	file.Metadata.RpmmdRepos = repos
	for _, p := range s.Packages {
		exact, err := lock.ParseEVRA(p.EVRA())
		if err != nil {
			return nil, fmt.Errorf("package %s: %w", p.Name, err)
		}
		file.Add(p.Name, exact, p.Checksum)
		if p.SourceRPM != "" {
			locked := file.Packages[p.Name]
			locked.Metadata = map[string]any{"sourcerpm": p.SourceRPM}
			file.Packages[p.Name] = locked
		}
	}
	return file, nil
}
