// Package pushcontainer is the stage that publishes a build's commit as a
// container image.
package pushcontainer

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/image/oci"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// Registry is the transport to a registry; the others are package oci's.
const Registry = "registry"

// Options say what goes where.
type Options struct {
	Build string // id; empty: the newest
	Image string // artifact: ostree (also if empty) or extensions-container
	// Name is NAME or NAME:TAG, where NAME may begin with a registry's host and
	// port. Without a tag it becomes BUILDID-ARCH.
	Name string
	// Repo comes before the name, with a slash between.
	Repo      string
	TagSuffix string // added to the tag that comes of the build: "-SUFFIX"
	Transport string // Registry (also if empty) or one of oci.Transports
	// Index pushes the images of all architectures of the build that lie here,
	// and an index of them. Without a tag it becomes BUILDID.
	Index bool

	Format      oci.Format // empty: oci.OCI
	AuthFile    string     // empty: the usual files
	NoTLSVerify bool
}

// Result says where the image is.
type Result struct {
	Reference string // NAME:TAG
	Digest    string // of the manifest or index; empty if it went to no registry
}

// records are the artifacts that can be pushed, and the key of meta.json for
// each.
var records = map[string]string{
	"ostree":               "base-oscontainer",
	"extensions-container": "extensions-container",
}

// Run pushes the image and notes in meta.json where it is in the registry; for
// another transport it notes nothing.
func Run(ctx context.Context, r tool.Runner, log *progress.Log, dir *workdir.Dir, o Options) (Result, error) {
	o.Image, o.Transport, o.Format = cmp.Or(o.Image, "ostree"), cmp.Or(o.Transport, Registry), cmp.Or(o.Format, oci.OCI)
	if err := o.check(); err != nil {
		return Result{}, err
	}
	builds, err := o.builds(dir)
	if err != nil {
		return Result{}, err
	}
	images := make([]source, len(builds))
	for i, b := range builds {
		if images[i], err = o.find(b); err != nil {
			return Result{}, err
		}
	}
	name, tag := o.reference(builds[0])
	if o.Transport != Registry {
		return save(ctx, r, log, o, images[0], name+":"+tag)
	}
	return push(ctx, log, o, images, name, tag)
}

func (o Options) check() error {
	switch {
	case records[o.Image] == "":
		return fmt.Errorf("--image %s: must be ostree or extensions-container", o.Image)
	case o.Format != oci.OCI && o.Format != oci.Docker:
		return fmt.Errorf("--format %s: must be %s or %s", o.Format, oci.OCI, oci.Docker)
	case o.Transport != Registry && !slices.Contains(oci.Transports, oci.Transport(o.Transport)):
		return fmt.Errorf("--transport %s: must be %s or one of %q", o.Transport, Registry, oci.Transports)
	case o.Index && o.Transport != Registry:
		return fmt.Errorf("--index is for a registry, not for %s", o.Transport)
	case strings.Contains(o.Name+o.Repo, "@"): // may be a password: not to be repeated
		return errors.New("the name of the image has an @: digests come of the image, and credentials belong into --authfile")
	}
	return nil
}

func (o Options) builds(dir *workdir.Dir) ([]workdir.Build, error) {
	b, err := dir.Build(o.Build)
	if err != nil && !o.Index {
		return nil, err
	}
	if !o.Index {
		return []workdir.Build{b}, nil
	}
	builds, err := dir.Arches(o.Build)
	slices.SortFunc(builds, func(a, b workdir.Build) int { return cmp.Compare(a.Arch.RPM, b.Arch.RPM) })
	return builds, err
}

// reference is the full name and the tag of what is pushed.
func (o Options) reference(b workdir.Build) (name, tag string) {
	name, tag = oci.SplitTag(o.Name)
	if o.Repo != "" {
		name = strings.TrimSuffix(o.Repo, "/") + "/" + name
	}
	if tag != "" {
		return name, tag
	}
	if tag = b.ID; !o.Index {
		tag += "-" + b.Arch.RPM
	}
	if o.TagSuffix != "" {
		tag += "-" + strings.TrimPrefix(o.TagSuffix, "-")
	}
	return name, tag
}

// source is the image of one build.
type source struct {
	build workdir.Build
	path  string
}

// find finds the archive and holds its commit against the build's.
func (o Options) find(b workdir.Build) (source, error) {
	_, path, err := b.Image(o.Image)
	if err != nil {
		return source{}, err
	}
	s := source{b, path}
	if o.Image != "ostree" {
		return s, nil
	}
	meta, err := b.Meta()
	if err != nil {
		return s, err
	}
	img, err := oci.Inspect(path)
	if err != nil {
		return s, err
	}
	if img.Commit != meta.OSTreeCommit {
		return s, fmt.Errorf("%s holds the commit %s, but meta.json of the build says %s", path, img.Commit, meta.OSTreeCommit)
	}
	return s, nil
}

func save(ctx context.Context, r tool.Runner, log *progress.Log, o Options, s source, place string) (Result, error) {
	step := log.Step("put build %s to %s:%s", s.build.ID, o.Transport, place)
	defer step.Stop()
	if err := oci.Save(ctx, r, s.path, oci.Transport(o.Transport), place, o.Format); err != nil {
		return Result{}, err
	}
	step.Done("")
	return Result{Reference: place}, nil
}

func push(ctx context.Context, log *progress.Log, o Options, images []source, name, tag string) (Result, error) {
	result := Result{Reference: name + ":" + tag}
	target := oci.Target{Reference: result.Reference, Format: o.Format, AuthFile: o.AuthFile, NoTLSVerify: o.NoTLSVerify}
	step := log.Step("push build %s to %s", images[0].build.ID, result.Reference)
	defer step.Stop()
	done, digests, err := send(ctx, images, target, o.Index)
	if err != nil {
		return result, err
	}
	step.Done("%d of %d blobs, %.1f MB sent", done.Sent, done.Blobs, float64(done.SentBytes)/1e6)
	result.Digest = done.Digest
	for i, s := range images {
		if err := record(s.build, o.Image, workdir.Container{Image: name, Digest: digests[i], Tags: []string{tag}}); err != nil {
			return result, err
		}
	}
	return result, nil
}

// send returns the digest of each image beside what Push returns.
func send(ctx context.Context, images []source, target oci.Target, index bool) (oci.Pushed, []string, error) {
	if !index {
		done, err := oci.Push(ctx, images[0].path, target)
		return done, []string{done.Digest}, err
	}
	var archives []string
	for _, s := range images {
		archives = append(archives, s.path)
	}
	done, err := oci.PushIndex(ctx, archives, target)
	return done, done.Images, err
}

// record notes the container; tags of one image add up, the last one first.
func record(b workdir.Build, image string, c workdir.Container) error {
	return b.Update(func(m *workdir.Meta) error {
		if image == "ostree" {
			if old := m.BaseOSContainer; old != nil && old.Image == c.Image && old.Digest == c.Digest {
				c.Tags = append(c.Tags, slices.DeleteFunc(old.Tags, func(t string) bool { return t == c.Tags[0] })...)
			}
			m.BaseOSContainer = &c
			return nil
		}
		raw, err := json.Marshal(c)
		if m.Extra == nil {
			m.Extra = map[string]json.RawMessage{}
		}
		m.Extra[records[image]] = raw
		return err
	})
}
