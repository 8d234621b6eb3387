package oci

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/atomicfile"
	"github.com/nestos/nosa-actions/internal/format/ostreetar"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Export writes the commit as an oci-archive and returns the raw manifest of
// the image. The same input gives the same bytes. Scratch files lie beside the
// output and are removed. It runs no program; the Runner is there for symmetry
// with the other artifacts' writers.
func Export(ctx context.Context, _ tool.Runner, in ExportInput) (manifest []byte, err error) {
	if in.MaxLayers == 0 {
		in.MaxLayers = DefaultMaxLayers
	}
	if in.Jobs == 0 {
		in.Jobs = runtime.GOMAXPROCS(0)
	}
	manifest, err = export(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("export commit %s to %s: %w", in.Commit, filepath.Base(in.Output), err)
	}
	return manifest, nil
}

func export(ctx context.Context, in ExportInput) ([]byte, error) {
	previous, err := previousLayers(in.Previous)
	if err != nil {
		return nil, err
	}
	t, err := readTree(ctx, in.Repo, in.Commit)
	if err != nil {
		return nil, err
	}
	chunks, err := t.chunks(in, previous)
	if err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp(filepath.Dir(in.Output), "."+filepath.Base(in.Output)+".layers-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	earlier := openEarlier(in.PreviousArchive)
	defer earlier.Close()
	layers, err := t.writeLayers(ctx, scratch, in.Jobs, chunks, earlier)
	if err != nil {
		return nil, err
	}
	platform := v1.Platform{Architecture: in.Arch.OCI, OS: "linux"}
	config, manifest, err := t.describe(in, platform, chunks, layers)
	if err != nil {
		return nil, err
	}
	return manifest, atomicfile.WriteFrom(in.Output, 0o644, func(w io.Writer) error {
		return writeArchive(w, config, manifest, platform, layers)
	})
}

// writeLayers makes the layer of the commit and one of each chunk, in this
// order, several at once, the biggest first. Those that an earlier archive has
// are taken from there.
func (t *tree) writeLayers(ctx context.Context, dir string, jobs int, chunks []*chunk, earlier *earlier) ([]*layerFile, error) {
	layers := make([]*layerFile, 1+len(chunks))
	order := make([]int, len(chunks))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return -cmp.Compare(chunks[a].size, chunks[b].size) })

	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(jobs)
	write := func(at int, content string, fill func(*ostreetar.Writer) error) {
		group.Go(func() (err error) {
			if layers[at] = earlier.take(content); layers[at] != nil {
				return nil
			}
			layers[at], err = writeLayer(filepath.Join(dir, strconv.Itoa(at)), jobs, fill)
			return err
		})
	}
	write(0, "", t.writeCommit)
	for _, i := range order {
		c := chunks[i]
		write(1+i, c.content(), func(w *ostreetar.Writer) error { return t.writeChunk(ctx, w, c) })
	}
	return layers, group.Wait()
}

// describe makes the image configuration and the manifest.
func (t *tree) describe(in ExportInput, platform v1.Platform, chunks []*chunk, layers []*layerFile) (config, manifest []byte, err error) {
	created := in.Created.UTC().Truncate(time.Second)
	if in.Created.IsZero() {
		created = t.commit.Time
	}
	labels := t.labels(layers[len(layers)-1].diffID)
	maps.Copy(labels, in.Labels)
	image := v1.Image{Created: &created, Platform: platform}
	image.Config.Labels = labels
	if image.Config.Cmd = in.Cmd; in.Cmd == nil {
		image.Config.Cmd = t.commit.Texts(keyCommand)
	}
	image.RootFS.Type = "layers"
	m := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, Annotations: labels}
	for i, layer := range layers {
		image.RootFS.DiffIDs = append(image.RootFS.DiffIDs, layer.diffID)
		desc := v1.Descriptor{MediaType: v1.MediaTypeImageLayerGzip, Digest: layer.digest, Size: layer.size}
		history := t.title()
		if i > 0 {
			c := chunks[i-1]
			desc.Annotations = map[string]string{
				annotationComponents: strings.Join(c.packages, ","), annotationContent: c.content(),
			}
			history = title(c.packages)
		}
		image.History = append(image.History, v1.History{Created: &created, CreatedBy: history})
		m.Layers = append(m.Layers, desc)
	}
	if config, err = json.Marshal(image); err != nil {
		return nil, nil, err
	}
	m.Config = descriptor(v1.MediaTypeImageConfig, config)
	manifest, err = json.Marshal(m)
	return config, manifest, err
}

// labels are what the commit itself gives.
func (t *tree) labels(final digest.Digest) map[string]string {
	labels := map[string]string{
		labelCommit:     t.sum.String(),
		labelFinalLayer: final.String(),
	}
	if version := t.commit.Text(keyVersion); version != "" {
		labels[labelVersion] = version
		labels[v1.AnnotationVersion] = version
	}
	if bootable, ok := t.commit.Bool(keyBootable); ok {
		labels[labelBootable] = strconv.FormatBool(bootable)
		labels[labelBootc] = "1"
	}
	if kernel := t.commit.Text(keyKernel); kernel != "" {
		labels[labelKernel] = kernel
	}
	return labels
}

// title describes the first layer in the image's history.
func (t *tree) title() string {
	if t.commit.Subject != "" {
		return t.commit.Subject
	}
	return "ostree export of commit " + t.sum.String()
}

// title describes a layer of files in the image's history.
func title(packages []string) string {
	if len(packages) <= 5 {
		return strings.Join(packages, " and ")
	}
	return fmt.Sprintf("%d components", len(packages))
}
