package ostree

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nestos/nosa-actions/internal/atomicfile"
	"github.com/nestos/nosa-actions/internal/format/gvariant"
)

// The types are those of ostree-core.h and ostree-repo-static-delta-private.h.
const (
	summaryType = "(a(s(taya{sv}))a{sv})"
	deltaType   = "(a{sv}tayay(a{sv}aya(say)sstayay)aya(uayttay)a(yaytt))"
)

// DateDeltas replaces the time in all static deltas, which is that of their making,
// so that the same commits give the same bytes. The summary, which has their
// checksums, is to be written after it.
func (r *Repo) DateDeltas(when time.Time) error {
	deltas, err := filepath.Glob(filepath.Join(r.Path, "deltas", "*", "*", "superblock"))
	if err != nil {
		return err
	}
	for _, path := range deltas {
		err := rewrite(path, func(data []byte) error {
			parts, err := gvariant.Split(deltaType, data)
			if err != nil {
				return err
			}
			binary.BigEndian.PutUint64(parts[1], uint64(when.Unix()))
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// DateSummary replaces the time of the summary's last change.
func (r *Repo) DateSummary(when time.Time) error {
	const key = "ostree.summary.last-modified\x00"
	return rewrite(filepath.Join(r.Path, "summary"), func(data []byte) error {
		parts, err := gvariant.Split(summaryType, data)
		if err != nil {
			return err
		}
		entries, err := gvariant.Split("a{sv}", parts[1])
		if err != nil {
			return err
		}
		for _, entry := range entries {
			pair, err := gvariant.Split("{sv}", entry)
			if err != nil {
				return err
			}
			if string(pair[0]) == key && len(pair[1]) == len("01234567\x00t") {
				binary.BigEndian.PutUint64(pair[1], uint64(when.Unix()))
				return nil
			}
		}
		return errors.New("it does not say when it was changed")
	})
}

// rewrite changes bytes of a small file.
func rewrite(path string, change func([]byte) error) error {
	data, err := os.ReadFile(path)
	if err == nil {
		err = change(data)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return atomicfile.Write(path, data, 0o644)
}
