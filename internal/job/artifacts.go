package job

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/handoff"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// The kinds of packs, and the middle part of their artifacts' names.
const (
	cacheKind = "cache"
	buildKind = "build"
	imageKind = "image"
)

// Directories in the runner's temporary directory, known to the action.yml files
// too.
const (
	incoming = "nosa-in"  // where artifacts are downloaded to
	outgoing = "nosa-out" // where packs are made
)

// revisionLabel is the label of a pack with the commit of the config it was
// made from.
const revisionLabel = "config revision"

// makers tell who makes which artifact.
var makers = map[string]string{
	cacheKind: "actions/fetch", buildKind: "actions/build", imageKind: "actions/buildextend",
}

// SendCache sends what fetch downloaded.
func (j *Job) SendCache(ctx context.Context) (*handoff.Manifest, error) {
	return j.send(ctx, cacheKind, "", handoff.PackOptions{Paths: []string{"cache"}})
}

// SendBuild sends a build without images but the commit's container image.
func (j *Job) SendBuild(ctx context.Context, b workdir.Build, m *workdir.Meta) (*handoff.Manifest, error) {
	images := map[string]bool{}
	for name, image := range m.Images {
		images[image.Path] = name != "ostree" && name != "oci-manifest"
	}
	paths := []string{"builds/builds.json", j.rel(b.Dir)}
	if _, err := os.Lstat(filepath.Join(j.Workdir, "builds/latest")); err == nil {
		paths = append(paths, "builds/latest")
	}
	return j.send(ctx, buildKind, "", handoff.PackOptions{
		Paths: paths,
		Skip: func(p string) bool {
			name := path.Base(p)
			return transient(name) || images[name]
		},
	})
}

// transient tells the files that only matter to processes that run now.
func transient(name string) bool {
	return strings.HasPrefix(name, ".") && (strings.HasSuffix(name, ".lock") || strings.HasSuffix(name, ".building"))
}

// SendImages sends the images of some platforms and what their stages recorded.
func (j *Job) SendImages(ctx context.Context, b workdir.Build, platforms []string) (*handoff.Manifest, error) {
	var paths []string
	for _, platform := range platforms {
		for _, artifact := range workdir.StageArtifacts(platform) {
			_, file, err := b.Image(artifact)
			if err != nil {
				return nil, err
			}
			paths = append(paths, j.rel(file))
		}
		paths = append(paths, j.rel(b.Path("meta."+platform+".json")))
	}
	name := strings.Join(platforms, "-") + "-"
	return j.send(ctx, imageKind, name, handoff.PackOptions{Paths: paths})
}

func (j *Job) rel(path string) string {
	rel, err := filepath.Rel(j.Workdir, path)
	if err != nil {
		return path // refused by handoff, which accepts relative paths only
	}
	return rel
}

// send packs and sets the outputs that the upload reads.
func (j *Job) send(ctx context.Context, kind, middle string, o handoff.PackOptions) (*handoff.Manifest, error) {
	if !j.handoff {
		return nil, nil
	}
	end := j.Step.Group("pack for the next job")
	defer end()
	o.Kind, o.Arch = kind, j.Arch.RPM
	if j.revision != "" {
		o.Labels = map[string]string{revisionLabel: j.revision}
	}
	dir, err := j.Fresh(outgoing)
	if err != nil {
		return nil, err
	}
	artifact := "nosa-" + kind + "-" + middle + j.Arch.RPM
	pack := filepath.Join(dir, artifact+packSuffix)
	receipt, err := handoff.PackFile(ctx, pack, j.Workdir, o)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(pack)
	if err != nil {
		return nil, err
	}
	j.Step.Log("%s: %d files, %.1f MB, packed %.1f MB", artifact, len(receipt.Manifest.Entries),
		float64(receipt.Manifest.Bytes())/1e6, float64(info.Size())/1e6)
	return receipt.Manifest, errors.Join(
		j.Step.Output("artifact", artifact),
		j.Step.Output("pack", pack),
		j.Step.Output("digest", receipt.Digest),
	)
}

const packSuffix = ".tar.zst"

// ReceiveCache unpacks what fetch sent.
func (j *Job) ReceiveCache(ctx context.Context) error {
	return j.receive(ctx, cacheKind, "nosa-cache-"+j.Arch.RPM)
}

// ReceiveBuild unpacks what build sent.
func (j *Job) ReceiveBuild(ctx context.Context) error {
	return j.receive(ctx, buildKind, "nosa-build-"+j.Arch.RPM)
}

// ReceiveImages unpacks all images that came, at least one, and merges what
// their stages recorded, so that the work directory becomes what it would be
// had all stages run here.
func (j *Job) ReceiveImages(ctx context.Context) error {
	if !j.handoff {
		return nil
	}
	packs, err := j.images()
	if err != nil {
		return err
	}
	for _, pack := range packs {
		if err := j.unpack(ctx, imageKind, pack); err != nil {
			return err
		}
	}
	b, err := j.Build()
	if err != nil {
		return err
	}
	if _, _, err := b.Finalize(false); err != nil {
		return fmt.Errorf("merge the records of the images: %w", err)
	}
	return b.Update(func(m *workdir.Meta) error {
		m.DelayedMetaMerge = new(false)
		return nil
	})
}

// images lists the packs with images, sorted.
func (j *Job) images() ([]string, error) {
	list, err := os.ReadDir(filepath.Join(j.temp, incoming))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var packs []string
	for _, e := range list {
		if name, ok := strings.CutSuffix(e.Name(), "-"+j.Arch.RPM+packSuffix); ok && strings.HasPrefix(name, "nosa-image-") {
			packs = append(packs, filepath.Join(j.temp, incoming, e.Name()))
		}
	}
	if len(packs) == 0 {
		return nil, missing(imageKind, "nosa-image-PLATFORM-"+j.Arch.RPM)
	}
	slices.Sort(packs)
	return packs, nil
}

func (j *Job) receive(ctx context.Context, kind, artifact string) error {
	if !j.handoff {
		return nil
	}
	pack := filepath.Join(j.temp, incoming, artifact+packSuffix)
	if _, err := os.Stat(pack); errors.Is(err, fs.ErrNotExist) {
		return missing(kind, artifact)
	}
	return j.unpack(ctx, kind, pack)
}

func missing(kind, artifact string) error {
	return fmt.Errorf("artifact %s is not here; a job that this one needs must run %s", artifact, makers[kind])
}

func (j *Job) unpack(ctx context.Context, kind, pack string) error {
	end := j.Step.Group("unpack " + filepath.Base(pack))
	defer end()
	receipt, err := handoff.UnpackFile(ctx, pack, j.Workdir, handoff.UnpackOptions{
		Kind: kind, Arch: j.Arch.RPM, Labels: map[string]string{revisionLabel: j.revision},
	})
	if err != nil {
		return err
	}
	j.Step.Log("%d files, %.1f MB, all checksums verified, manifest sha256 %s",
		len(receipt.Manifest.Entries), float64(receipt.Manifest.Bytes())/1e6, receipt.Digest)
	// Unpacked, it only takes the room that a runner has little of.
	return os.Remove(pack)
}
