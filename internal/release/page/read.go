package page

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/format/streammeta"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// System is what the metadata of a release says about the system itself.
type System struct {
	Name, Summary, Stream string
}

// Read makes a Release of metadata that was published with it: assets.json,
// stream.json, meta.ARCH.json and changes.ARCH.json in dir, all but the first of
// which may be missing. Changes are those of the first architecture that has some.
func Read(dir string) (Release, System, error) {
	var r Release
	var s System
	data, err := os.ReadFile(filepath.Join(dir, streammeta.AssetsName))
	if err != nil {
		return r, s, err
	}
	assets, err := streammeta.ParseAssets(data)
	if err != nil {
		return r, s, fmt.Errorf("%s: %w", streammeta.AssetsName, err)
	}
	r.Assets = *assets
	r.URL = pageOf(r.Assets)
	for _, name := range []string{streammeta.AssetsName, "SHA256SUMS"} { // which it does not list
		r.Assets.Assets = append(r.Assets.Assets, streammeta.Asset{Name: name})
	}
	var stream struct{ Stream string }
	if _, err := decode(filepath.Join(dir, "stream.json"), &stream); err != nil {
		return r, s, err
	}
	s.Stream = stream.Stream
	for _, rpmArch := range arches(r.Assets) {
		if err := r.read(dir, rpmArch, &s); err != nil {
			return r, s, err
		}
	}
	return r, s, nil
}

// pageOf is the release page on GitHub, from the address of its files.
func pageOf(a streammeta.Assets) string {
	if base, tag, ok := strings.Cut(a.BaseURL, "/releases/download/"); ok {
		return base + "/releases/tag/" + tag
	}
	return ""
}

func arches(a streammeta.Assets) (list []string) {
	for _, asset := range a.Assets {
		if asset.Arch != "" && filepath.Base(asset.Arch) == asset.Arch {
			list = append(list, asset.Arch)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// read adds what is known of one architecture.
func (r *Release) read(dir, rpmArch string, s *System) error {
	var meta workdir.Meta
	found, err := decode(filepath.Join(dir, "meta."+rpmArch+".json"), &meta)
	if err != nil || !found {
		return err
	}
	s.Name, s.Summary = cmp.Or(s.Name, meta.Name), cmp.Or(s.Summary, meta.Summary)
	r.Revision = cmp.Or(r.Revision, meta.ConfigGitrev)
	if at, err := time.Parse(time.RFC3339, cmp.Or(meta.BuildTimestamp, meta.OSTreeTimestamp)); err == nil && at.After(r.Date) {
		r.Date = at
	}
	a := Arch{Name: rpmArch, Commit: meta.OSTreeCommit, Ref: meta.Ref}
	if c := meta.BaseOSContainer; c != nil {
		a.Digest = c.Digest
		if len(c.Tags) > 0 {
			a.Container = c.Image + ":" + c.Tags[0]
		} else if c.Digest != "" {
			a.Container = c.Image + "@" + c.Digest
		}
	}
	r.Arches = append(r.Arches, a)
	if r.Changes != nil {
		return nil
	}
	_, err = decode(filepath.Join(dir, "changes."+rpmArch+".json"), &r.Changes)
	return err
}

// decode reads a JSON file, which may be missing.
func decode(path string, v any) (found bool, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return true, nil
}

// downgraded is the kind of such a change in pkgdiff.
const downgraded = 3

// UnmarshalJSON reads an entry of pkgdiff: [name, kind, details].
func (c *Change) UnmarshalJSON(data []byte) error {
	var details struct{ PreviousPackage, NewPackage []string }
	var kind int
	*c = Change{}
	entry := []any{&c.Package, &kind, &details}
	if err := json.Unmarshal(data, &entry); err != nil {
		return err
	}
	if len(entry) != 3 || c.Package == "" {
		return errors.New("a change is not [name, kind, details]")
	}
	if len(details.PreviousPackage) > 1 {
		c.From = details.PreviousPackage[1]
	}
	if len(details.NewPackage) > 1 {
		c.To = details.NewPackage[1]
	}
	c.Down = kind == downgraded
	return nil
}
