package streammeta

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// indexNote warns people off the index, in the words that readers know.
const indexNote = "For use only by NestOS internal tooling.  All other applications should obtain release info from stream metadata endpoints."

// Index is the content of releases.json: all releases of a stream.
type Index struct {
	Note     string         `json:"note"`
	Releases []IndexRelease `json:"releases"` // the newest last
	Metadata Metadata       `json:"metadata"`
	Stream   string         `json:"stream"`
}

// IndexRelease points to the metadata of one release.
type IndexRelease struct {
	Commits  []IndexCommit `json:"commits"` // sorted by architecture
	Version  string        `json:"version"`
	Metadata string        `json:"metadata"` // URL of release.json
}

// IndexCommit is the commit of one architecture.
type IndexCommit struct {
	Architecture string `json:"architecture"`
	Checksum     string `json:"checksum"`
}

// ParseIndex reads a releases.json; empty data is an index without releases.
func ParseIndex(data []byte, stream string) (*Index, error) {
	x := &Index{Note: indexNote, Stream: stream, Releases: []IndexRelease{}}
	if len(data) == 0 {
		return x, nil
	}
	if err := json.Unmarshal(data, x); err != nil {
		return nil, err
	}
	if x.Stream != stream {
		return nil, fmt.Errorf("the index is that of stream %q, not of %q", x.Stream, stream)
	}
	return x, nil
}

// Add appends a release with the address of its metadata. One that is the last
// already is replaced if it has gained architectures. It tells whether the index
// changed. A release that is not the last one, or lost an architecture, or whose
// commits differ, is an error.
func (x *Index) Add(r *Release, url string, modified string) (bool, error) {
	added := IndexRelease{Version: r.Release, Metadata: url}
	for _, arch := range slices.Sorted(maps.Keys(r.Architectures)) {
		added.Commits = append(added.Commits, IndexCommit{arch, r.Architectures[arch].Commit})
	}
	for i, old := range x.Releases {
		if old.Version != r.Release {
			continue
		}
		if i != len(x.Releases)-1 {
			return false, fmt.Errorf("release %s is in the index, but is not the last one", r.Release)
		}
		for _, commit := range old.Commits {
			if !slices.Contains(added.Commits, commit) {
				return false, fmt.Errorf("release %s is in the index with another commit for %s", r.Release, commit.Architecture)
			}
		}
		if len(old.Commits) == len(added.Commits) {
			return false, nil
		}
		x.Releases = x.Releases[:i]
	}
	x.Releases = append(x.Releases, added)
	x.Metadata.LastModified = modified
	return true, nil
}

// JSON is the content of releases.json.
func (x *Index) JSON() ([]byte, error) { return indented(x) }
