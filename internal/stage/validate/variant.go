package validate

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/document"
	"github.com/nestos/nosa-actions/internal/imageconf"
	"github.com/nestos/nosa-actions/internal/manifest"
)

// variant is one variant of the config: a manifest with an image.yaml.
type variant struct {
	file     string             // of the manifest
	manifest *manifest.Manifest // nil: it has errors
	// elsewhere are the layers that other architectures add.
	elsewhere []string
	// variables of the top-level file that a denylist compares.
	stream, osversion bool
}

// names lists the variants to check. A manifest-NAME.yaml without the
// image-NAME.yaml that a variant needs is one of the parts that others include.
func (c *check) names() ([]string, error) {
	names := []string{""}
	files, err := filepath.Glob(filepath.Join(escapeGlob(c.Dir), "manifest-*.yaml"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "manifest-"), ".yaml")
		if _, err := os.Stat(c.path("image-" + name + ".yaml")); err == nil && !strings.HasPrefix(name, "lock.") {
			names = append(names, name)
		}
	}
	if len(c.Variants) == 0 {
		c.every = true
		return names, nil
	}
	var chosen []string
	for _, name := range c.Variants {
		if name == "default" {
			name = ""
		}
		if !slices.Contains(chosen, name) {
			chosen = append(chosen, name)
		}
	}
	c.every = !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(chosen, name) })
	return chosen, nil
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// readVariant reads a manifest and its image.yaml.
func (c *check) readVariant(name string, found *diag.List) variant {
	suffix := ""
	if name != "" {
		suffix = "-" + name
	}
	v := variant{file: c.path("manifest" + suffix + ".yaml")}
	image := c.path("image" + suffix + ".yaml")
	absent := missing(v.file, "a config repository needs it", found)
	if missing(image, "a config repository needs it", found) || absent {
		return v
	}
	var err error
	v.manifest, err = manifest.Load(v.file, manifest.Options{Arch: c.Arch})
	told(err, v.file, found)
	conf, err := imageconf.Load(image)
	told(err, image, found)
	if v.manifest == nil {
		return v
	}
	found.Findings = append(found.Findings, v.manifest.Warnings...)
	if conf != nil {
		found.Findings = append(found.Findings, conf.Warnings...)
		if err := conf.CheckRemote(v.manifest.Ref); err != nil {
			found.Addf(diag.Pos{File: image}, "%v", err)
		}
	}
	v.readElsewhere(c.Arch)
	v.readVariables()
	return v
}

// readElsewhere finds layers that only other architectures have, so that their
// overlays count as used. What is wrong there is their business.
func (v *variant) readElsewhere(ours arch.Arch) {
	for _, a := range arch.All() {
		if a == ours {
			continue
		}
		if m, err := manifest.Load(v.file, manifest.Options{Arch: a}); err == nil {
			v.elsewhere = append(v.elsewhere, layers(m)...)
		}
	}
}

func layers(m *manifest.Manifest) []string {
	var refs []string
	for _, item := range slices.Concat(m.OSTreeLayers, m.OSTreeOverrideLayers) {
		refs = append(refs, item.Value)
	}
	return refs
}

// readVariables looks whether the top-level file sets what a denylist compares;
// includes are not followed there.
func (v *variant) readVariables() {
	top, err := document.Load(v.file)
	if err != nil {
		return
	}
	variables, _ := top.Get("variables")
	_, v.stream = variables.Get("stream")
	_, v.osversion = variables.Get("osversion")
}

// readPlatforms reads the console table.
func (c *check) readPlatforms(found *diag.List) error {
	file := c.path("platforms.yaml")
	var absent diag.List
	if missing(file, "disk images need it; it may be empty", &absent) {
		for _, f := range absent.Findings {
			f.Severity = diag.Warning // a config may be for the container alone
			found.Add(f)
		}
		return nil
	}
	_, err := imageconf.LoadPlatforms(file)
	told(err, file, found)
	return nil
}

// readObsolete names what the tools of today no longer take.
func (c *check) readObsolete(found *diag.List) error {
	for name, mend := range map[string]string{
		"overlay":  "move its content to overlay.d/NAME and list overlay/NAME under ostree-layers",
		"image.ks": "kickstart support is gone; write image.yaml",
	} {
		if _, err := os.Lstat(c.path(name)); err == nil {
			found.Add(diag.Finding{Pos: diag.Pos{File: c.path(name)}, Message: "is no longer read", Mend: mend})
		}
	}
	return nil
}

// missing reports a file that must be there and tells whether it is not.
func missing(file, why string, found *diag.List) bool {
	_, err := os.Stat(file)
	if err == nil {
		return false
	}
	if errors.Is(err, fs.ErrNotExist) {
		found.Add(diag.Finding{Pos: diag.Pos{File: file}, Message: "is missing", Mend: why})
	} else {
		found.Addf(diag.Pos{File: file}, "%v", reason(err))
	}
	return true
}

// reason is a file error without the path, which the finding's place has.
func reason(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}
