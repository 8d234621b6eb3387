package job

import (
	"context"
	"errors"
	"maps"
	"os"
	"path"
	"path/filepath"
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

// The labels of packs, by which those that do not belong together are told apart.
const (
	revisionLabel = "config revision" // commit of the config
	buildLabel    = "build"           // id of the build
	commitLabel   = "commit"          // of the system
	jobLabel      = "job"             // that made the pack; only told
)

// makers tell who makes which artifact.
var makers = map[string]string{
	cacheKind: "actions/fetch", buildKind: "actions/build", imageKind: "actions/buildextend",
}

// SendBuild sends a build without images but the commit's container image.
func (j *Job) SendBuild(ctx context.Context, b workdir.Build, m *workdir.Meta) (*handoff.Manifest, error) {
	all, err := b.View()
	if err != nil {
		return nil, err
	}
	images := map[string]bool{}
	for name, image := range all.Images {
		images[image.Path] = name != "ostree" && name != "oci-manifest"
	}
	paths := []string{"builds/builds.json", j.rel(b.Dir)}
	if _, err := os.Lstat(filepath.Join(j.Workdir, "builds/latest")); err == nil {
		paths = append(paths, "builds/latest")
	}
	return j.send(ctx, buildKind, "", handoff.PackOptions{
		Paths:  paths,
		Labels: map[string]string{buildLabel: b.ID, commitLabel: m.OSTreeCommit},
		Skip: func(p string) bool {
			name := path.Base(p)
			return transient(name) || images[name] || ofPlatform(name)
		},
	})
}

// transient tells the files that only matter to processes that run now.
func transient(name string) bool {
	return strings.HasPrefix(name, ".") && (strings.HasSuffix(name, ".lock") || strings.HasSuffix(name, ".building"))
}

// ofPlatform tells the records that stages for platforms leave until they are
// merged.
func ofPlatform(name string) bool {
	match, _ := path.Match("meta.*.json", name)
	return match
}

// SendImages sends the images of some platforms and what their stages recorded.
// What is in the build's artifact too, which all who take images take, is only
// referred to.
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
	m, err := b.Meta()
	if err != nil {
		return nil, err
	}
	name := strings.Join(platforms, "-") + "-"
	return j.send(ctx, imageKind, name, handoff.PackOptions{
		Paths: paths, Labels: map[string]string{buildLabel: b.ID, commitLabel: m.OSTreeCommit}, Base: j.received.base(buildKind),
	})
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
	o.Labels = j.labels(o.Labels)
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
	if m := receipt.Manifest; m.Base != nil {
		j.Step.Log("%.1f MB of it are in %s and were not packed again", float64(m.Bytes()-m.Stored())/1e6, m.Base.Name)
	}
	return receipt.Manifest, errors.Join(
		j.Step.Output("artifact", artifact),
		j.Step.Output("pack", pack),
		j.Step.Output("digest", receipt.Digest),
	)
}

// labels are those of every pack of this job, and more; empty ones are left out.
func (j *Job) labels(more map[string]string) map[string]string {
	all := map[string]string{revisionLabel: j.revision, jobLabel: os.Getenv("GITHUB_JOB")}
	maps.Copy(all, more)
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	return all
}

const packSuffix = ".tar.zst"
