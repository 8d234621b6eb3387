package build

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/atomicfile"
	"github.com/nestos/nosa-actions/internal/ostree"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// The compose JSON says what the last compose made. It is written when the
// commit is in the repository, so that a run that ends before there is a build
// can be taken up again.

func (s *session) composeJSON() string { return filepath.Join(s.dir.Tmp(), "compose.json") }

// composeJSONOf is the copy that is kept for resuming, of one commit at a time.
func (s *session) composeJSONOf(commit string) string {
	return filepath.Join(s.dir.Tmp(), "compose-"+commit+".json")
}

// writeComposeJSON records a commit that has just been made, and forgets those
// before it.
func (s *session) writeComposeJSON(c *ostree.Commit, stats ostree.Stats) (*workdir.Meta, error) {
	record := &workdir.Meta{
		Ref: s.config.Manifest.Ref, OSTreeCommit: c.Checksum, OSTreeContentChecksum: c.ContentChecksum,
		OSTreeVersion: c.Version, OSTreeTimestamp: workdir.Timestamp(c.Timestamp), InputHash: inputHashOf(c),
		MetadataTotal: &stats.MetadataTotal, MetadataWritten: &stats.MetadataWritten,
		ContentTotal: &stats.ContentTotal, ContentWritten: &stats.ContentWritten,
		CacheHits: &stats.CacheHits, ContentBytesWritten: &stats.BytesWritten,
	}
	if c.Parent != "" && s.repo.Has(c.Parent) {
		parent, err := s.repo.Show(c.Parent)
		if err != nil {
			return nil, err
		}
		if record.PkgDiff, err = encodeDiff(diff(parent.Packages(), c.Packages())); err != nil {
			return nil, err
		}
	}
	text, err := json.MarshalIndent(record, "", "    ")
	if err != nil {
		return nil, err
	}
	old, err := filepath.Glob(s.composeJSONOf("*"))
	if err != nil {
		return nil, err
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	for _, path := range []string{s.composeJSON(), s.composeJSONOf(c.Checksum)} {
		if err := atomicfile.Write(path, append(text, '\n'), 0o644); err != nil {
			return nil, err
		}
	}
	return record, nil
}

func inputHashOf(c *ostree.Commit) string {
	hash, _ := c.Metadata["rpmostree.inputhash"].(string)
	return hash
}

// made finds a commit of the input that need not be made again: that of a run
// that got no further, else that of the newest build; nil if there is neither.
func (s *session) made(hash string) (*commit, error) {
	c, err := s.unfinished(hash)
	if c != nil || err != nil {
		return c, err
	}
	if s.previous == nil || s.previous.meta.InputHash != hash || s.previous.meta.Ref != s.config.Manifest.Ref {
		return nil, nil
	}
	s.log.Notef("no change in packages, overlays and manifest since build %s", s.previous.build.ID)
	return &commit{Commit: s.previous.commit, record: *s.previous.meta}, nil
}

// unfinished finds the commit of a run that did not get to a build. What cannot
// be read or does not fit is passed over: then it is made anew.
func (s *session) unfinished(hash string) (*commit, error) {
	paths, err := filepath.Glob(s.composeJSONOf("*"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		var record workdir.Meta
		if json.Unmarshal(text, &record) != nil || !s.fits(&record, hash) {
			continue
		}
		shown, err := s.repo.Show(record.OSTreeCommit)
		if err != nil || shown.Parent != s.parentCommit() {
			continue
		}
		s.log.Notef("going on with commit %s of a run that was not finished", shown.Checksum)
		return &commit{Commit: shown, record: record}, nil
	}
	return nil, nil
}

// fits tells whether an unfinished commit is what this run would make.
func (s *session) fits(record *workdir.Meta, hash string) bool {
	commit := record.OSTreeCommit
	switch {
	case record.InputHash != hash || record.Ref != s.config.Manifest.Ref || !s.repo.IsWhole(commit):
		return false
	case s.opt.Version != "" && s.opt.Version != record.OSTreeVersion:
		return false
	case s.previous != nil && s.previous.meta.OSTreeCommit == commit:
		return false // it was finished
	}
	_, err := s.dir.Build(record.OSTreeVersion)
	return err != nil // its id is still free
}
