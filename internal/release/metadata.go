package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/nestos/nosa-actions/internal/format/streammeta"
	"github.com/nestos/nosa-actions/internal/release/sbom"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// generator signs the metadata.
const generator = "nosa-actions"

// previousFile is where metadata of the earlier release lies.
func previousFile(dir, rpmArch string) string { return filepath.Join(dir, CommitMetaName(rpmArch)) }

// CommitMetaName is the asset with the commit's metadata, the package list among
// it, which the next release is compared with.
func CommitMetaName(rpmArch string) string { return "commitmeta." + clean(rpmArch) + ".json" }

// made is the path of a file that the release makes.
func (c *collector) made(name string) string { return filepath.Join(c.Out, name) }

// downloads is the URL that assets lie below.
func (c *collector) downloads() string {
	return fmt.Sprintf("%s/%s/%s/releases/download/%s", strings.TrimSuffix(c.Server, "/"),
		url.PathEscape(c.Owner), url.PathEscape(c.Repo), url.PathEscape(c.Tag))
}

// write adds a file with content of our own.
func (c *collector) write(name, arch string, data []byte) error {
	path := c.made(name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return err
	}
	s := newSummer(c.limits)
	_, _ = s.Write(data) // a hash takes everything
	c.extra = append(c.extra, &file{digest: s.digest(), name: name, path: path, arch: arch})
	return nil
}

// perArch adds what describes the build of one architecture.
func (c *collector) perArch(ctx context.Context, s *source) error {
	published := *s.meta
	published.DelayedMetaMerge = new(false)
	if c.Container != "" {
		container, err := c.container(s)
		if err != nil {
			return err
		}
		published.BaseOSContainer = container
	}
	meta, err := published.JSON()
	if err != nil {
		return err
	}
	a := clean(s.arch)
	if err := c.write("meta."+a+".json", s.arch, meta); err != nil {
		return err
	}
	for from, to := range map[string]string{
		"commitmeta.json": CommitMetaName(s.arch),
		"manifest-lock.generated." + s.arch + ".json": "manifest-lock." + a + ".json",
		"ostree-commit-object":                        "ostree-commit-object." + a,
	} {
		if err := c.copy(s, from, to); err != nil {
			return err
		}
	}
	if err := c.repository(ctx, s); err != nil {
		return err
	}
	packages := c.packages[s.arch]
	if packages == nil {
		c.Log.Notef("build %s for %s has no package list (commitmeta.json): no bill of materials", c.id, s.arch)
		return nil
	}
	if changes, ok := c.changes[s.arch]; ok {
		data, err := json.MarshalIndent(changes, "", "  ")
		if err != nil {
			return err
		}
		if err := c.write("changes."+a+".json", s.arch, append(data, '\n')); err != nil {
			return err
		}
	}
	var list strings.Builder
	for _, p := range packages {
		list.WriteString(strings.ReplaceAll(p.NEVRA(), "\n", " ") + "\n")
	}
	if err := c.write("packages."+a+".txt", s.arch, []byte(list.String())); err != nil {
		return err
	}
	return c.bills(s, a)
}

// container is where the commit is in a registry. A registry keeps the very manifest
// of the OCI archive, so its digest is known beforehand.
func (c *collector) container(s *source) (*workdir.Container, error) {
	manifest, ok := s.meta.Images["oci-manifest"]
	if !ok {
		return nil, refuse("build %s for %s has no oci-manifest, so its container's digest is not known",
			"push it before, with nosa push-container, which notes the digest, and name no container", c.id, s.arch)
	}
	return &workdir.Container{Image: c.Container, Digest: "sha256:" + manifest.SHA256, Tags: []string{c.id}}, nil
}

// copy adds a small file of the build as it is, if it is there.
func (c *collector) copy(s *source, from, to string) error {
	data, err := os.ReadFile(s.path(from))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return c.write(to, s.arch, data)
}

// repository adds the OSTree repository for plain clients, if the build has one.
func (c *collector) repository(ctx context.Context, s *source) error {
	name := workdir.RepoArchiveName(s.meta.Name, c.id, s.arch)
	path := s.path(name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	d, err := sumFile(path, c.limits, guard(ctx))
	if err != nil {
		return err
	}
	c.extra = append(c.extra, &file{digest: d, name: c.names.of(name), path: path, rel: s.arch + "/" + name, arch: s.arch})
	return nil
}

// bills adds the bills of materials.
func (c *collector) bills(s *source, a string) error {
	spdx, cdx := "sbom."+a+".spdx.json", "sbom."+a+".cdx.json"
	system := sbom.System{
		Name: s.meta.Name, Version: s.meta.OSTreeVersion, Arch: s.arch, Commit: s.meta.OSTreeCommit, Created: c.built,
		Namespace: c.downloads() + "/" + spdx, Supplier: c.Owner, Packages: c.packages[s.arch],
	}
	data, err := system.SPDX()
	if err != nil {
		return fmt.Errorf("write SPDX: %w", err)
	}
	if err := c.write(spdx, s.arch, data); err != nil {
		return err
	}
	if data, err = system.CycloneDX(); err != nil {
		return fmt.Errorf("write CycloneDX: %w", err)
	}
	return c.write(cdx, s.arch, data)
}

// stream adds release.json and stream.json.
func (c *collector) streamFiles() error {
	whole := &streammeta.Release{
		Release: c.id, Stream: c.stream, Metadata: &streammeta.Metadata{LastModified: c.built.Format("2006-01-02T15:04:05Z")},
	}
	for _, s := range c.sources {
		b := streammeta.Build{ID: c.id, Stream: c.stream, Arch: s.arch, Commit: s.meta.OSTreeCommit, Clouds: s.meta.Extra}
		for _, f := range c.files {
			if f.arch == s.arch {
				b.Images = append(b.Images, c.published(f))
			}
		}
		r, err := b.Release()
		if err == nil {
			err = whole.Merge(r)
		}
		if err != nil {
			return err
		}
	}
	release, err := whole.JSON()
	if err != nil {
		return err
	}
	if err := c.write("release.json", "", release); err != nil {
		return err
	}
	meta := *whole.Metadata
	meta.Generator = generator
	stream, err := whole.StreamMetadata(meta).JSON()
	if err != nil {
		return err
	}
	return c.write("stream.json", "", stream)
}

// published is an image as release metadata lists it. A split one has no address
// that gives the whole; assets.json lists its parts.
func (c *collector) published(f *file) streammeta.Image {
	image := streammeta.Image{Name: f.artifact, Path: f.image.Path, Artifact: streammeta.Artifact{SHA256: f.sha256}}
	if f.image.UncompressedSHA256 != "" {
		image.UncompressedSHA256 = &f.image.UncompressedSHA256
	}
	if len(f.parts) == 0 {
		image.Location = c.downloads() + "/" + f.name
	}
	if f.sigName != "" {
		image.Signature = c.downloads() + "/" + f.sigName
	}
	return image
}

// mapping adds assets.json, which lists everything but itself and the sums.
func (c *collector) mapping() error {
	m := streammeta.Assets{SchemaVersion: "1.0.0", Release: c.id, Tag: c.Tag, BaseURL: c.downloads()}
	for _, f := range c.all() {
		m.Assets = append(m.Assets, f.listed(c.limits))
	}
	data, err := m.JSON()
	if err != nil {
		return err
	}
	return c.write(streammeta.AssetsName, "", data)
}

// sums adds SHA256SUMS: all assets, and split files as they are when joined.
func (c *collector) sums() error {
	var list strings.Builder
	for _, f := range c.all() {
		fmt.Fprintf(&list, "%s  %s\n", f.sha256, f.name)
		if len(f.parts) > 0 {
			for _, s := range sections(f.name, f.path, "", f.digest, c.limits) {
				fmt.Fprintf(&list, "%s  %s\n", s.SHA256, s.Name)
			}
		}
	}
	return c.write("SHA256SUMS", "", []byte(list.String()))
}

func (c *collector) all() []*file { return append(append([]*file{}, c.files...), c.extra...) }
