package validate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/document"
	"github.com/nestos/nosa-actions/internal/manifest"
	"github.com/nestos/nosa-actions/internal/ostree"
)

// overlay is one directory of overlay.d.
type overlay struct {
	dir   string
	files int // entries beside the statoverride
}

func (o overlay) ref() string { return layerPrefix + filepath.Base(o.dir) }

const layerPrefix = "overlay/"

// madeLayers are the layers that a build makes by itself.
var madeLayers = []string{"overlay/cosa-image-json", "overlay/contentset", "overlay/cosa-overrides-rootfs"}

// readOverlays looks at every directory of overlay.d as the commit of a layer
// will.
func (c *check) readOverlays(found *diag.List) error {
	root := c.path("overlay.d")
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		found.Addf(diag.Pos{File: root}, "%v", reason(err))
		return nil
	}
	for _, e := range entries {
		dir := filepath.Join(root, e.Name())
		info, err := stat(dir)
		if err != nil {
			found.Addf(diag.Pos{File: dir}, "%v", reason(err))
			continue
		}
		if info.IsDir() {
			c.overlays = append(c.overlays, readOverlay(dir, found))
		}
	}
	c.readStatoverrides(found)
	return nil
}

// readOverlay walks one overlay.
func readOverlay(dir string, found *diag.List) overlay {
	o := overlay{dir: dir}
	// A walk does not enter a root that is a symbolic link.
	_ = filepath.WalkDir(dir+"/.", func(path string, entry fs.DirEntry, err error) error {
		path = filepath.Clean(path)
		switch {
		case err != nil:
			found.Addf(diag.Pos{File: path}, "%v", reason(err))
			return nil
		case path == filepath.Clean(dir), path == filepath.Join(dir, ostree.StatoverrideName):
			return nil
		}
		o.files++
		checkEntry(path, entry, found)
		return nil
	})
	return o
}

// checkEntry tells what the commit refuses, and what it takes away.
func checkEntry(path string, entry fs.DirEntry, found *diag.List) {
	pos := diag.Pos{File: path}
	info, err := entry.Info()
	if err != nil {
		found.Addf(pos, "%v", reason(err))
		return
	}
	mode := info.Mode()
	if mode&fs.ModeSymlink != 0 {
		return
	}
	if !mode.IsRegular() && !mode.IsDir() {
		found.Addf(pos, "is neither file, directory nor symbolic link")
		return
	}
	if err := unix.Access(path, unix.R_OK); err != nil {
		found.Addf(pos, "cannot be read: %v", err)
		return
	}
	var lost []string
	for bit, name := range map[fs.FileMode]string{fs.ModeSetuid: "setuid", fs.ModeSetgid: "setgid", fs.ModeSticky: "sticky"} {
		if mode&bit != 0 {
			lost = append(lost, name+" bit")
		}
	}
	if mode.Perm()&0o002 != 0 {
		lost = append(lost, "write permission for others")
	}
	if mode.IsRegular() && hasCapability(path) {
		lost = append(lost, "file capabilities")
	}
	if len(lost) == 0 {
		return
	}
	slices.Sort(lost)
	found.Add(diag.Finding{
		Severity: diag.Warning, Pos: pos, Message: "the commit takes away its " + strings.Join(lost, " and "),
		Mend: "say modes in the overlay's statoverride file",
	})
}

func hasCapability(path string) bool {
	n, err := unix.Lgetxattr(path, "security.capability", nil)
	return err == nil && n > 0
}

// readStatoverrides reads the statoverride file of each overlay. Where a config
// holds no overlay content at all, as one from which only the descriptions were
// taken, what the files name cannot be looked up.
func (c *check) readStatoverrides(found *diag.List) {
	for _, o := range c.overlays {
		var list diag.List
		if _, err := ostree.ReadStatoverride(o.dir, &list); err != nil {
			found.Addf(diag.Pos{File: filepath.Join(o.dir, ostree.StatoverrideName)}, "%v", reason(err))
		}
		for _, f := range list.Findings {
			if c.hollow() && strings.HasPrefix(f.Message, "the overlay has no ") {
				f.Severity = diag.Warning
			}
			found.Add(f)
		}
	}
}

// hollow tells whether the config may be a part of one that came without its
// overlays.
func (c *check) hollow() bool {
	return !c.Whole && !slices.ContainsFunc(c.overlays, func(o overlay) bool { return o.files > 0 })
}

// checkLayers holds the layers of the manifests against the overlays, both ways.
func (c *check) checkLayers(found *diag.List) {
	var refs []string
	for _, o := range c.overlays {
		refs = append(refs, o.ref())
	}
	used := map[string]bool{}
	complete := c.every
	for _, v := range c.variants {
		if v.manifest == nil {
			complete = false // it would have said what it uses
			continue
		}
		for _, ref := range slices.Concat(layers(v.manifest), v.elsewhere) {
			used[ref] = true
		}
		for _, item := range slices.Concat(v.manifest.OSTreeLayers, v.manifest.OSTreeOverrideLayers) {
			c.checkLayer(item, refs, found)
		}
	}
	if !complete {
		return
	}
	for _, o := range c.overlays {
		if !used[o.ref()] {
			found.Add(diag.Finding{
				Severity: diag.Warning, Pos: diag.Pos{File: o.dir}, Message: "no manifest uses this overlay",
				Mend: fmt.Sprintf("list %s under ostree-layers", o.ref()),
			})
		}
	}
}

// checkLayer looks for the overlay that a layer is made of. Layers of other
// names are commits in the repository of the work directory.
func (c *check) checkLayer(item manifest.Item, refs []string, found *diag.List) {
	if !strings.HasPrefix(item.Value, layerPrefix) || slices.Contains(refs, item.Value) || slices.Contains(madeLayers, item.Value) {
		return
	}
	name := strings.TrimPrefix(item.Value, layerPrefix)
	f := diag.Finding{
		Pos: item.Pos, Message: fmt.Sprintf("layer %q: there is no directory overlay.d/%s", item.Value, name),
		Mend: "add the directory, or remove the layer",
	}
	var names []string
	for _, ref := range refs {
		names = append(names, strings.TrimPrefix(ref, layerPrefix))
	}
	if near, ok := document.Nearest(name, names); ok {
		f.Mend = fmt.Sprintf("did you mean %q?", layerPrefix+near)
	}
	if c.hollow() {
		f.Severity = diag.Warning
	}
	found.Add(f)
}
