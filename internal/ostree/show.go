package ostree

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/nestos/nosa-actions/internal/atomicfile"
	"github.com/nestos/nosa-actions/internal/format/gvariant"
	"github.com/nestos/nosa-actions/internal/format/ostreerepo"
)

// Commit is what can be said of a commit without its content.
type Commit struct {
	Checksum        string
	ContentChecksum string // of the root directory: independent of time and metadata
	Parent          string // checksum; empty: none
	Version         string // empty if it has none
	Timestamp       time.Time
	// Metadata is the commit's dictionary as plain values: what was given to
	// CommitTree comes back as strings, truth values, numbers, lists and, for
	// repository times, objects.
	Metadata map[string]any
}

// Show reads a commit object; its content need not be there.
func (r *Repo) Show(commit string) (*Commit, error) {
	data, err := r.CommitObject(commit)
	if err != nil {
		return nil, fmt.Errorf("read commit %s: %w", commit, err)
	}
	return ParseCommit(data)
}

// ParseCommit reads the bytes of a commit object.
func ParseCommit(data []byte) (*Commit, error) {
	sum := sha256.Sum256(data)
	parsed, err := ostreerepo.ParseCommit(data)
	if err != nil {
		return nil, fmt.Errorf("commit %x: %w", sum, err)
	}
	c := &Commit{
		Checksum: hex.EncodeToString(sum[:]), Version: parsed.Text("version"), Timestamp: parsed.Time,
		Metadata: make(map[string]any, len(parsed.Metadata)),
	}
	// ostree_commit_get_content_checksum: the two checksums of the root.
	content := sha256.New()
	content.Write(parsed.Tree[:])
	content.Write(parsed.Meta[:])
	c.ContentChecksum = hex.EncodeToString(content.Sum(nil))
	if parsed.Parent != (ostreerepo.Checksum{}) {
		c.Parent = parsed.Parent.String()
	}
	for key, value := range parsed.Metadata {
		c.Metadata[key] = plain(value)
	}
	return c, nil
}

// Package is one row of a commit's package list.
type Package struct {
	Name, Epoch, Version, Release, Arch string // Epoch "0" if there is none
}

// Packages is the list of packages that the commit was composed of, in the order
// of its metadata; nil if it has none.
func (c *Commit) Packages() []Package {
	rows, _ := c.Metadata["rpmostree.rpmdb.pkglist"].([]any)
	var list []Package
	for _, row := range rows {
		cells, _ := row.([]any)
		var text [5]string
		for i, cell := range cells[:min(len(cells), len(text))] {
			text[i], _ = cell.(string)
		}
		list = append(list, Package{text[0], text[1], text[2], text[3], text[4]})
	}
	return list
}

// farFuture is, in seconds since the epoch, beyond every time that is meant.
const farFuture = 1 << 40

// plain unwraps a value: variants lose their type, dictionaries become objects.
func plain(value any) any {
	switch v := value.(type) {
	case gvariant.Variant:
		return plain(v.Value)
	case []gvariant.Entry:
		object := make(map[string]any, len(v))
		for _, e := range v {
			object[fmt.Sprint(e.Key)] = plain(e.Value)
		}
		return object
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = plain(item)
		}
		return list
	case uint64:
		// rpm-ostree's times are in the order of the machine that wrote them.
		if v >= farFuture && gvariant.SwapUint64(v) < farFuture {
			return gvariant.SwapUint64(v)
		}
	}
	return value
}

// CommitObject is the serialised commit, whose SHA-256 is its checksum.
func (r *Repo) CommitObject(commit string) ([]byte, error) {
	if _, err := ostreerepo.ParseChecksum(commit); err != nil {
		return nil, err
	}
	return os.ReadFile(r.commitPath(commit))
}

func (r *Repo) commitPath(commit string) string {
	return filepath.Join(r.Path, "objects", commit[:2], commit[2:]+".commit")
}

func (r *Repo) partialPath(commit string) string {
	return filepath.Join(r.Path, "state", commit+".commitpartial")
}

// AddPartial puts a commit object without its content into the repository, which
// is enough to be a parent and to be compared with, and returns its checksum. A
// commit that is there already stays as it is.
func (r *Repo) AddPartial(object []byte) (string, error) {
	c, err := ParseCommit(object)
	if err != nil {
		return "", err
	}
	if r.Has(c.Checksum) {
		return c.Checksum, nil
	}
	// The mark comes first: without it the content counts as there.
	mark, path := r.partialPath(c.Checksum), r.commitPath(c.Checksum)
	for _, dir := range []string{filepath.Dir(mark), filepath.Dir(path)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
	}
	if err := os.WriteFile(mark, nil, 0o644); err != nil {
		return "", err
	}
	return c.Checksum, atomicfile.Write(path, object, 0o644)
}

// Has tells whether the repository holds the commit object.
func (r *Repo) Has(commit string) bool {
	if _, err := ostreerepo.ParseChecksum(commit); err != nil {
		return false
	}
	_, err := os.Stat(r.commitPath(commit))
	return err == nil
}

// IsPartial tells whether the commit's content is not all here.
func (r *Repo) IsPartial(commit string) bool {
	_, err := os.Stat(r.partialPath(commit))
	return !errors.Is(err, fs.ErrNotExist)
}

// IsWhole tells whether the commit is here with all its content.
func (r *Repo) IsWhole(commit string) bool { return r.Has(commit) && !r.IsPartial(commit) }
