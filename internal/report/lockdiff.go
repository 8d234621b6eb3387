package report

import (
	"encoding/json"
	"fmt"
	"strings"

	rpmversion "github.com/knqyf263/go-rpm-version"
)

// LockDiff is what changes from one lockfile to the next.
type LockDiff struct {
	rows    [][]string
	Changed int // packages
}

// lockfile is what of a lockfile tells packages apart.
type lockfile struct {
	Packages map[string]struct {
		EVRA string `json:"evra"`
		EVR  string `json:"evr"`
	} `json:"packages"`
}

// DiffLocks compares two lockfiles; before is empty where there was none.
func DiffLocks(before, now []byte) (LockDiff, error) {
	old, err := readLock(before)
	if err != nil {
		return LockDiff{}, fmt.Errorf("the lockfile before: %w", err)
	}
	next, err := readLock(now)
	if err != nil {
		return LockDiff{}, err
	}
	if len(next) == 0 {
		return LockDiff{}, fmt.Errorf("it names no packages")
	}
	d := LockDiff{rows: changes(old, next)}
	d.Changed = len(d.rows)
	return d, nil
}

func readLock(data []byte) (map[string]string, error) {
	if len(data) == 0 {
		return nil, nil
	}
	var f lockfile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("it is no lockfile: %w", err)
	}
	versions := map[string]string{}
	for name, p := range f.Packages {
		version := p.EVRA
		if version == "" {
			version = p.EVR
		}
		if name == "" || version == "" {
			return nil, fmt.Errorf("it is no lockfile: package %q has no version", name)
		}
		versions[name] = version
	}
	return versions, nil
}

func changeOf(was, is string) string {
	switch {
	case was == "":
		return changeNames[0]
	case is == "":
		return changeNames[1]
	case rpmversion.NewVersion(is).LessThan(rpmversion.NewVersion(was)):
		return changeNames[3]
	}
	return changeNames[2]
}

// Markdown is a table of the changes.
func (d LockDiff) Markdown(title string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "#### %s: %d packages changed\n\n", Text(title), d.Changed)
	out.WriteString(table([]string{"Package", "Change", "Before", "Now"}, d.rows))
	return out.String()
}
