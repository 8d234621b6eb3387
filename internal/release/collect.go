package release

import (
	"context"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/compression"
	"github.com/nestos/nosa-actions/internal/format/streammeta"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/release/sbom"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Options says what to release. Needed are Dirs, Out, Owner, Repo, Tag and
// Runner.
type Options struct {
	Runner tool.Runner   // runs xz
	Log    *progress.Log // may be nil

	Dirs   []string // work directories, at least one; architectures may be spread over them
	Build  string   // build id; empty: the newest one
	Arches []string // rpm names of the architectures that there must be; empty: all that are listed
	Out    string   // directory for the files that a release adds; they must stay until it is published

	Owner, Repo string
	Server      string   // URL of GitHub; empty: https://github.com
	Tag, Target string   // see Plan
	TagFormats  []string // tags that fit a build, see TagFormats; empty: those
	Name        string   // title of the page; empty: name and version of the system
	Prereleases []string // patterns of tags, see Prereleases; empty: those
	Latest      string   // see Plan

	// Compressor is a compression.Format for images that are not compressed yet,
	// or "none"; empty is gzip.
	Compressor string
	Stream     string // name of the stream; empty: that of the commit's metadata, or of its ref
	// Template is the path of a template for the notes, see Notes; empty: ours.
	Template string
	// Container is the repository in a registry, such as ghcr.io/OWNER/NAME, that the
	// commits are or will be pushed to, tagged with the build's id; empty: what
	// meta.json says.
	Container string
	// Previous is a directory with the assets CommitMetaName of the release that
	// PreviousTag names, for the list of changes; empty: no list.
	Previous, PreviousTag string
	// SigningKey is an OpenPGP private key in ASCII armor; empty: no signatures.
	SigningKey, SigningPassphrase string
	Attested                      bool // the notes say how to verify an attestation

	limits limits // for tests; zero: GitHub's
}

// collector makes one plan.
type collector struct {
	Options
	id         string
	sources    []*source
	format     compression.Format // "" for none
	built      time.Time
	stream     string
	prerelease bool
	signer     *signer
	names      names
	files      []*file // images
	extra      []*file // what the release adds
	packages   map[string][]sbom.Package
	changes    map[string][]change
}

// Collect makes a plan out of builds: it picks the build, verifies every image,
// compresses, splits what is too large, describes all of it, and writes the
// notes. The builds stay as they are. The same builds give the same plan, byte by
// byte. What does not fit together is refused with findings.
func Collect(ctx context.Context, o Options) (*Plan, error) {
	c := &collector{Options: o, names: names{}, packages: map[string][]sbom.Package{}}
	if err := c.settle(); err != nil {
		return nil, err
	}
	notes, err := notesTemplate(c.Template)
	if err != nil {
		return nil, err
	}
	if c.id, c.sources, err = find(c.Dirs, c.Build, c.Arches); err != nil {
		return nil, err
	}
	if err := c.identify(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return nil, err
	}
	if err := c.images(ctx); err != nil {
		return nil, err
	}
	if err := c.describe(ctx); err != nil {
		return nil, err
	}
	said, err := words(notes, c.notes())
	if err != nil {
		return nil, err
	}
	return c.plan(said), nil
}

// settle fills in what is left out and checks what needs no build.
func (c *collector) settle() error {
	if c.limits == (limits{}) {
		c.limits = github
	}
	if c.Server == "" {
		c.Server = "https://github.com"
	}
	if c.Compressor == "" {
		c.Compressor = string(compression.Gzip)
	}
	if c.Compressor != "none" {
		format, err := compression.Parse(c.Compressor)
		if err != nil {
			return refuse("%v", "or write none", err)
		}
		c.format = format
	}
	if !slices.Contains([]string{"", "true", "false", "legacy"}, c.Latest) {
		return refuse("latest is %q", "write true, false or legacy", c.Latest)
	}
	if c.Tag == "" {
		return refuse("there is no tag to release", "run on a pushed tag, or name the tag")
	}
	if c.Owner == "" || c.Repo == "" {
		return refuse("there is no repository to release to", "name it as OWNER/NAME")
	}
	var err error
	c.prerelease, err = IsPrerelease(c.Tag, c.Prereleases)
	return err
}

// streamName is what can stand in addresses and file names.
var streamName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

// identify reads what the builds are, and holds the tag against it.
func (c *collector) identify() error {
	first := c.sources[0]
	if err := checkTag(c.Tag, c.TagFormats, c.id, first.meta.OSTreeVersion); err != nil {
		return err
	}
	for _, s := range c.sources {
		commit, err := readCommitMeta(s.path("commitmeta.json"))
		if err != nil {
			return err
		}
		if list := commit.packages(); list != nil {
			c.packages[s.arch] = list
		}
		if c.Stream == "" {
			c.Stream = commit.stream()
		}
		for _, at := range []string{s.meta.BuildTimestamp, s.meta.OSTreeTimestamp} {
			// The last of all: aarch64 may have been built an hour later.
			if t, err := time.Parse(time.RFC3339, at); err == nil && t.After(c.built) {
				c.built = t.UTC()
			}
		}
	}
	if c.stream = c.Stream; c.stream == "" && first.meta.Ref != "" {
		c.stream = path.Base(first.meta.Ref)
	}
	if git := first.meta.ConfigGit; c.stream == "" && git != nil && git.Branch != "HEAD" {
		c.stream = git.Branch
	}
	if !streamName.MatchString(c.stream) {
		return refuse("build %s has no name for its stream (%q)", "name the stream", c.id, c.stream)
	}
	if c.SigningKey == "" {
		return nil
	}
	var err error
	c.signer, err = newSigner(c.SigningKey, c.SigningPassphrase, c.built)
	return err
}

// describe names the images and adds signatures, metadata and sums.
func (c *collector) describe(ctx context.Context) error {
	for _, reserved := range []string{"release.json", "stream.json", streammeta.AssetsName, "join.sh", "SHA256SUMS"} {
		c.names.of(reserved)
	}
	for _, f := range c.files {
		f.name = c.names.of(f.name)
	}
	if err := c.signImages(ctx); err != nil {
		return err
	}
	if err := c.compare(); err != nil {
		return err
	}
	for _, s := range c.sources {
		if err := c.perArch(ctx, s); err != nil {
			return err
		}
	}
	if err := c.streamFiles(); err != nil {
		return err
	}
	if slices.ContainsFunc(c.all(), func(f *file) bool { return len(f.parts) > 0 }) {
		if err := c.write("join.sh", "", []byte(script(c.all(), c.limits))); err != nil {
			return err
		}
	}
	slices.SortStableFunc(c.extra, func(a, b *file) int { return strings.Compare(a.name, b.name) })
	if err := c.mapping(); err != nil {
		return err
	}
	if err := c.sums(); err != nil || c.signer == nil {
		return err
	}
	return c.signature(ctx, c.extra[len(c.extra)-1])
}

// signImages signs all images, several at a time.
func (c *collector) signImages(ctx context.Context) error {
	if c.signer == nil {
		return nil
	}
	for _, f := range c.files {
		f.sigName = f.name + ".sig"
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(2)
	for _, f := range c.files {
		group.Go(func() error { return c.signer.signFile(inner, f.path, c.made(f.sigName)) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, f := range c.files {
		if err := c.adopt(ctx, f.sigName, f.arch); err != nil {
			return err
		}
	}
	return nil
}

// signature signs a file that the release adds.
func (c *collector) signature(ctx context.Context, f *file) error {
	f.sigName = f.name + ".sig"
	if err := c.signer.signFile(ctx, f.path, c.made(f.sigName)); err != nil {
		return err
	}
	return c.adopt(ctx, f.sigName, "")
}

// adopt adds a file that has been made.
func (c *collector) adopt(ctx context.Context, name, arch string) error {
	d, err := sumFile(c.made(name), c.limits, guard(ctx))
	if err != nil {
		return err
	}
	c.extra = append(c.extra, &file{digest: d, name: name, path: c.made(name), arch: arch})
	return nil
}

// plan lists everything.
func (c *collector) plan(notes string) *Plan {
	meta := c.sources[0].meta
	p := &Plan{
		Owner: c.Owner, Repo: c.Repo, Tag: c.Tag, Target: c.Target, Build: c.id, Name: c.Name, Notes: notes,
		Prerelease: c.prerelease, Latest: c.Latest,
	}
	if p.Name == "" {
		p.Name = strings.TrimSpace(fmt.Sprintf("%s %s", meta.Name, meta.OSTreeVersion))
	}
	if p.Prerelease && p.Latest != "" {
		p.Latest = "false"
	}
	for _, f := range c.all() {
		p.Assets = append(p.Assets, sections(f.name, f.path, contentType(f.name), f.digest, c.limits)...)
	}
	return p
}

// source is the build of an architecture.
func (c *collector) source(rpmArch string) *source {
	i := slices.IndexFunc(c.sources, func(s *source) bool { return s.arch == rpmArch })
	return c.sources[i]
}
