package publish

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/nestos/nosa-actions/internal/release"
)

// What GitHub takes.
const (
	maxAssets    = 1000
	maxAssetSize = 1<<31 - 1 // "under 2 GiB": 2^31 bytes are refused
	maxName      = 255 - len(halfPrefix) - nonceLen - 1
	maxNotes     = 125000 // characters
)

// keptName matches the names that GitHub does not change.
var keptName = regexp.MustCompile(`^[A-Za-z0-9_-]([A-Za-z0-9._-]*[A-Za-z0-9_-])?$`)

// check tells all that is wrong with a plan and can be known without GitHub.
func check(plan release.Plan) error {
	var found []error
	wrong := func(format string, args ...any) { found = append(found, fmt.Errorf(format, args...)) }
	if plan.Owner == "" || plan.Repo == "" {
		wrong("no repository given: it is needed as OWNER/NAME (in a workflow: GITHUB_REPOSITORY)")
	}
	if plan.Tag == "" {
		wrong("no tag given: run on a pushed tag, or name one")
	}
	if strings.HasPrefix(plan.Tag, "refs/") {
		wrong("tag %s: give the tag's name without refs/tags/", plan.Tag)
	}
	switch plan.Latest {
	case "", "true", "false", "legacy":
	default:
		wrong("latest is %q: expected true, false or legacy", plan.Latest)
	}
	if plan.Prerelease && plan.Latest == "true" {
		wrong("a prerelease cannot be the latest release: set latest to false")
	}
	if n := utf8.RuneCountInString(plan.Notes); n > maxNotes {
		wrong("the release notes have %d characters, GitHub takes %d: shorten the template", n, maxNotes)
	}
	if len(plan.Assets) == 0 {
		wrong("the release has no assets")
	}
	if len(plan.Assets) > maxAssets {
		wrong("the release has %d assets, GitHub takes %d: put small files into archives", len(plan.Assets), maxAssets)
	}
	seen := map[string]bool{}
	for _, a := range plan.Assets {
		if seen[a.Name] {
			wrong("two assets are called %s", a.Name)
		}
		seen[a.Name] = true
		if err := checkAsset(a); err != nil {
			wrong("asset %s: %w", a.Name, err)
		}
	}
	return errors.Join(found...)
}

func checkAsset(a release.Asset) error {
	switch {
	case !keptName.MatchString(a.Name):
		return errors.New("GitHub would change this name; use letters, digits, '.', '_' and '-', and no '.' at either end")
	case strings.HasPrefix(a.Name, halfPrefix):
		return fmt.Errorf("names that begin with %s are those of unfinished uploads", halfPrefix)
	case len(a.Name) > maxName:
		return fmt.Errorf("the name has %d characters, %d can be used", len(a.Name), maxName)
	case a.Size > maxAssetSize:
		return fmt.Errorf("%d bytes are too many, GitHub takes up to %d: split it", a.Size, maxAssetSize)
	case a.Size < 1:
		return errors.New("it is empty, and GitHub takes no empty assets: leave it out")
	case a.Offset < 0:
		return fmt.Errorf("it begins at %d", a.Offset)
	}
	if sum, err := hex.DecodeString(a.SHA256); err != nil || len(sum) != 32 {
		return fmt.Errorf("%q is no SHA-256 checksum", a.SHA256)
	}
	info, err := os.Stat(a.Path)
	if err != nil {
		return err
	}
	if end := a.Offset + a.Size; !info.Mode().IsRegular() || info.Size() < end {
		return fmt.Errorf("%s has %d bytes, %d are needed", a.Path, info.Size(), end)
	}
	return nil
}
