// Package ostreerepo reads the objects of an OSTree repository on disk, and
// writes them, without a process for each of them. It knows the object formats
// and the layout of repositories in the modes archive, bare and bare-user; what
// to read or write, and whom to trust, is its callers' business. Refs, remotes
// and signatures stay with the ostree program.
//
// Format: the OSTree manual, chapters "Anatomy of an OSTree repository" and
// "OSTree data formats", and the object definitions in libostree's
// ostree-core.h.
package ostreerepo

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// MaxMetadata is the size in bytes up to which objects other than file content
// are accepted.
const MaxMetadata = 16 << 20

// Checksum is the SHA-256 that names an object.
type Checksum [32]byte

// ParseChecksum reads 64 lower-case hex digits.
func ParseChecksum(s string) (Checksum, error) {
	var c Checksum
	if len(s) != 64 || strings.ToLower(s) != s {
		return c, fmt.Errorf("%q is not a checksum of 64 hex digits", s)
	}
	if _, err := hex.Decode(c[:], []byte(s)); err != nil {
		return c, fmt.Errorf("%q is not a checksum of 64 hex digits", s)
	}
	return c, nil
}

// String is the 64 hex digits.
func (c Checksum) String() string { return hex.EncodeToString(c[:]) }

// Fits tells whether the bytes are those that the checksum was made of.
func (c Checksum) Fits(data []byte) bool { return sha256.Sum256(data) == c }

// Compare orders checksums as their hex digits.
func (c Checksum) Compare(other Checksum) int { return bytes.Compare(c[:], other[:]) }

// Kind is a type of object; its value is the suffix of the object's file name
// but for content, which an archive repository names ".filez".
type Kind string

// The kinds of objects.
const (
	KindCommit     Kind = "commit"
	KindCommitMeta Kind = "commitmeta" // detached metadata, not covered by a checksum
	KindDirtree    Kind = "dirtree"
	KindDirmeta    Kind = "dirmeta"
	KindFile       Kind = "file"
)

// Mode says how a repository stores file content.
type Mode string

// The modes that can be read and written.
const (
	ModeArchive  Mode = "archive"   // compressed, with a header of owner, mode and xattrs
	ModeBare     Mode = "bare"      // as in the tree; writing takes root
	ModeBareUser Mode = "bare-user" // plain files, the rest in an extended attribute
)

// ErrNotFound is returned for an object or ref that the repository lacks.
var ErrNotFound = errors.New("not in the repository")

// Repo is an open repository. It holds no file open and may be used by several
// goroutines at once.
type Repo struct {
	dir   string
	mode  Mode
	fsync bool
}

// Open reads the repository's configuration.
func Open(dir string) (*Repo, error) {
	config, err := os.ReadFile(filepath.Join(dir, "config"))
	if err != nil {
		return nil, fmt.Errorf("open ostree repository: %w", err)
	}
	core := coreSection(config)
	r := &Repo{dir: dir, mode: Mode(core["mode"]), fsync: core["fsync"] != "false"}
	switch r.mode {
	case ModeArchive, ModeBare, ModeBareUser:
		return r, nil
	case "archive-z2": // the older name, which ostree still writes
		r.mode = ModeArchive
		return r, nil
	}
	return nil, fmt.Errorf("ostree repository %s: mode %q is not supported; supported are archive, bare and bare-user", dir, core["mode"])
}

// Dir is the path that the repository was opened by.
func (r *Repo) Dir() string { return r.dir }

// Mode is the way the repository stores content.
func (r *Repo) Mode() Mode { return r.mode }

// coreSection returns the keys of the section [core] of a key file.
func coreSection(config []byte) map[string]string {
	keys, section := map[string]string{}, ""
	for lines := bufio.NewScanner(bytes.NewReader(config)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			section = line
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && section == "[core]" {
			keys[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return keys
}

// Resolve returns the commit that rev names: a checksum, a local branch, or
// REMOTE:BRANCH. A missing one is ErrNotFound.
func (r *Repo) Resolve(rev string) (Checksum, error) {
	if c, err := ParseChecksum(rev); err == nil {
		return c, nil
	}
	dir, name := "refs/heads", rev
	if remote, branch, ok := strings.Cut(rev, ":"); ok {
		dir, name = "refs/remotes", remote+"/"+branch
	}
	if !filepath.IsLocal(name) || filepath.Clean(name) != name {
		return Checksum{}, fmt.Errorf("%q is not the name of a ref", rev)
	}
	data, err := os.ReadFile(filepath.Join(r.dir, dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return Checksum{}, fmt.Errorf("ref %s: %w", rev, ErrNotFound)
	}
	if err != nil {
		return Checksum{}, fmt.Errorf("ref %s: %w", rev, err)
	}
	return ParseChecksum(strings.TrimSpace(string(data)))
}

// Has tells whether the object is there.
func (r *Repo) Has(kind Kind, sum Checksum) bool {
	_, err := os.Lstat(r.path(kind, sum))
	return err == nil
}

// path is where the object lies.
func (r *Repo) path(kind Kind, sum Checksum) string {
	hex := sum.String()
	name := r.dir + "/objects/" + hex[:2] + "/" + hex[2:] + "." + string(kind)
	if kind == KindFile && r.mode == ModeArchive {
		name += "z"
	}
	return name
}

// Metadata returns the bytes of an object that is not file content, not
// verified.
func (r *Repo) Metadata(kind Kind, sum Checksum) ([]byte, error) {
	f, err := os.Open(r.path(kind, sum))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s %s: %w", kind, sum, ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > MaxMetadata {
		return nil, fmt.Errorf("%s %s is larger than %d bytes", kind, sum, MaxMetadata)
	}
	data := make([]byte, info.Size())
	if _, err := f.ReadAt(data, 0); err != nil && len(data) > 0 {
		return nil, fmt.Errorf("%s %s: %w", kind, sum, err)
	}
	return data, nil
}
