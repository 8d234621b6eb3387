package ostree

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Stats says what a commit cost the repository.
type Stats struct {
	MetadataTotal, MetadataWritten int64 // commit, dirtree and dirmeta objects
	ContentTotal                   int64 // files and links of the tree
	ContentWritten                 int64 // objects of these that were not there before
	CacheHits                      int64 // files that were not even read again
	BytesWritten                   int64 // size of the new objects
}

// parseTable reads what ostree commit says with --table-output.
func parseTable(text string) (checksum string, stats Stats, err error) {
	numbers := map[string]*int64{
		"Metadata Total": &stats.MetadataTotal, "Metadata Written": &stats.MetadataWritten,
		"Content Cache Hits": &stats.CacheHits,
	}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if key == "Commit" {
			checksum = value
		}
		if number := numbers[key]; number != nil {
			if *number, err = strconv.ParseInt(value, 10, 64); err != nil {
				return "", Stats{}, fmt.Errorf("ostree says %q: %w", line, err)
			}
		}
	}
	if checksum == "" {
		return "", Stats{}, fmt.Errorf("ostree names no commit in %q", text)
	}
	return checksum, stats, nil
}

// content lists the content objects that are not in known, with their sizes in
// bytes.
func (r *Repo) content(known map[string]int64) (map[string]int64, error) {
	dirs, err := os.ReadDir(filepath.Join(r.Path, "objects"))
	if err != nil {
		return nil, err
	}
	found := map[string]int64{}
	for _, dir := range dirs {
		entries, err := os.ReadDir(filepath.Join(r.Path, "objects", dir.Name()))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			name := dir.Name() + e.Name()
			if _, ok := known[name]; ok || !strings.HasPrefix(filepath.Ext(name), ".file") {
				continue
			}
			info, err := e.Info()
			if err != nil {
				return nil, err
			}
			found[name] = info.Size()
		}
	}
	return found, nil
}
