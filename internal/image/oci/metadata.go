package oci

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/nestos/nosa-actions/internal/format/ostreerepo"
	"github.com/nestos/nosa-actions/internal/format/ostreetar"
)

// maxMetadata bounds all metadata objects of an image together, which are kept
// in memory until the commit is complete.
const maxMetadata = 512 << 20

// metadata gathers the objects of the first layer that are not content.
type metadata struct {
	size             int
	commit, detached []byte
	dirtrees         map[ostreerepo.Checksum][]byte
	dirmetas         map[ostreerepo.Checksum][]byte

	// Set by reachable: what the commit needs of them.
	needTrees, needMetas map[ostreerepo.Checksum]bool
}

func newMetadata() *metadata {
	return &metadata{
		dirtrees: map[ostreerepo.Checksum][]byte{}, dirmetas: map[ostreerepo.Checksum][]byte{},
		needTrees: map[ostreerepo.Checksum]bool{}, needMetas: map[ostreerepo.Checksum]bool{},
	}
}

// add takes an object of the image of the commit.
func (m *metadata) add(commit ostreerepo.Checksum, o *ostreetar.Object) error {
	if m.size += len(o.Data); m.size > maxMetadata {
		return fmt.Errorf("metadata of the commit takes more than %d bytes", maxMetadata)
	}
	if o.Kind == ostreerepo.KindCommitMeta { // its name is the commit's
		if o.Checksum != commit {
			return fmt.Errorf("detached metadata is of another commit, %s", o.Checksum)
		}
		m.detached = o.Data
		return nil
	}
	if got := ostreerepo.Checksum(sha256.Sum256(o.Data)); got != o.Checksum {
		return fmt.Errorf("%s %s has the checksum %s", o.Kind, o.Checksum, got)
	}
	switch o.Kind {
	case ostreerepo.KindCommit:
		if o.Checksum != commit {
			return fmt.Errorf("layer holds commit %s, and the label %s names %s", o.Checksum, labelCommit, commit)
		}
		m.commit = o.Data
	case ostreerepo.KindDirtree:
		m.dirtrees[o.Checksum] = o.Data
	case ostreerepo.KindDirmeta:
		m.dirmetas[o.Checksum] = o.Data
	}
	return nil
}

// reachable follows the commit through its directories, each once, however often
// a malicious tree shows it, and returns its content objects.
func (m *metadata) reachable(commit ostreerepo.Checksum) (map[ostreerepo.Checksum]bool, error) {
	if m.commit == nil {
		return nil, errors.New("the commit object is not in the first layer")
	}
	c, err := ostreerepo.ParseCommit(m.commit)
	if err != nil {
		return nil, fmt.Errorf("commit %s: %w", commit, err)
	}
	if err := m.need(c.Meta); err != nil {
		return nil, err
	}
	files := map[ostreerepo.Checksum]bool{}
	queue := []ostreerepo.Checksum{c.Tree}
	for len(queue) > 0 {
		sum := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if m.needTrees[sum] {
			continue
		}
		m.needTrees[sum] = true
		data, ok := m.dirtrees[sum]
		if !ok {
			return nil, fmt.Errorf("dirtree %s of the commit is not in the first layer", sum)
		}
		tree, err := ostreerepo.ParseDirtree(data)
		if err != nil {
			return nil, fmt.Errorf("dirtree %s: %w", sum, err)
		}
		for _, f := range tree.Files {
			files[f.Checksum] = false
		}
		for _, d := range tree.Dirs {
			if err := m.need(d.Meta); err != nil {
				return nil, err
			}
			queue = append(queue, d.Tree)
		}
	}
	return files, nil
}

func (m *metadata) need(sum ostreerepo.Checksum) error {
	if m.needMetas[sum] {
		return nil
	}
	m.needMetas[sum] = true
	data, ok := m.dirmetas[sum]
	if !ok {
		return fmt.Errorf("dirmeta %s of the commit is not in the first layer", sum)
	}
	if _, err := ostreerepo.ParseDirmeta(data); err != nil {
		return fmt.Errorf("dirmeta %s: %w", sum, err)
	}
	return nil
}

// write adds what the commit needs to the repository.
func (m *metadata) write(w *ostreerepo.Writer) error {
	for sum := range m.needTrees {
		if err := w.Metadata(ostreerepo.KindDirtree, sum, m.dirtrees[sum]); err != nil {
			return err
		}
	}
	for sum := range m.needMetas {
		if err := w.Metadata(ostreerepo.KindDirmeta, sum, m.dirmetas[sum]); err != nil {
			return err
		}
	}
	return nil
}
