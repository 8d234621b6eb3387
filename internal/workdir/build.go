package workdir

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/atomicfile"
)

// Build is a build of one architecture.
type Build struct {
	ID   string
	Arch arch.Arch
	Dir  string // builds/ID/ARCH, absolute

	skipValidation bool
}

// Path is the path of a file of the build.
func (b Build) Path(name string) string { return filepath.Join(b.Dir, name) }

// Image finds the file of an artifact: what meta.json, or with delayed merge the
// meta.STAGE.json of its stage, says about it and where it lies. A missing artifact is an
// error that wraps fs.ErrNotExist.
func (b Build) Image(name string) (Image, string, error) {
	m, err := b.ArtifactMeta(stageOf(name))
	if err != nil {
		return Image{}, "", err
	}
	image, ok := m.Images[name]
	if !ok {
		return Image{}, "", fmt.Errorf("build %s has no %s: %w", b.ID, name, fs.ErrNotExist)
	}
	return image, b.Path(image.Path), nil
}

// BuildID is the id of a new build of the commit with the given version, and
// its generation: the version, or VERSION-N when the previous build has the
// same commit. previous may be nil.
func BuildID(version, commit string, previous *Meta) (id string, genver int) {
	if previous == nil || commit == "" || previous.OSTreeCommit != commit {
		return version, 0
	}
	genver = 1
	if previous.ImageGenver != nil {
		genver = *previous.ImageGenver + 1
	}
	return fmt.Sprintf("%s-%d", version, genver), genver
}

// Reference is the metadata that BuildID compares with: that of the parent
// build if one is given, else of the newest build; nil if there is none or it
// lacks this architecture.
func (d *Dir) Reference(parentBuild string) (*Meta, error) {
	id := parentBuild
	if id == "" {
		index, err := d.Index()
		if err != nil || len(index.Builds) == 0 {
			return nil, err
		}
		id = index.Builds[0].ID
	}
	b, err := d.Build(id)
	if errors.Is(err, ErrNoBuild) && parentBuild == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return b.Meta()
}

// ImageInputChecksum tells whether two builds would give the same images; it is
// the sha256 of the commit and of the checksum of image.json.
func ImageInputChecksum(commit, imageConfigChecksum string) string {
	sum := sha256.Sum256([]byte(commit + "\n" + imageConfigChecksum + "\n"))
	return hex.EncodeToString(sum[:])
}

// WriteCommitMeta writes a commit's metadata dictionary to commitmeta.json in
// dir; its values are plain ones, without GVariant wrapping.
func WriteCommitMeta(dir string, metadata map[string]any) error {
	data, err := encode(metadata)
	if err != nil {
		return fmt.Errorf("writing commitmeta.json: %w", err)
	}
	return atomicfile.Write(filepath.Join(dir, "commitmeta.json"), data, 0o644)
}

// local tells whether the build's directory is there.
func (b Build) local() bool {
	info, err := os.Stat(b.Path(metaName))
	return err == nil && info.Mode().IsRegular()
}
