package convert

import (
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/nestos/nosa-actions/tools/rpmpool/deb"
)

// merged are the top-level directories that the usr-merge turns into links.
var merged = []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"}

// mergeUsr gives the place below /usr of an absolute path, if it has one.
func mergeUsr(name string) string {
	top, _, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	for _, dir := range merged {
		if top == dir {
			return "/usr" + name
		}
	}
	return name
}

// layout moves the files of a package to their usr-merged places. A relative
// link is resolved against its old place first, so that it keeps its meaning. A
// link that now points to itself is dropped, and of two files that fall
// together the one that is no link stays.
func layout(files []deb.File) []deb.File {
	at := map[string]int{}
	var out []deb.File
	for _, f := range files {
		old := f.Name
		f.Name = mergeUsr(old)
		if f.Kind == deb.Symlink {
			f.Target = mergeTarget(old, f.Target)
			if resolve(f.Name, f.Target) == f.Name {
				continue
			}
		}
		if i, ok := at[f.Name]; ok {
			if out[i].Kind == deb.Symlink {
				out[i] = f
			}
			continue
		}
		at[f.Name] = len(out)
		out = append(out, f)
	}
	return out
}

// mergeTarget gives the target that a link at the place old needs after the move.
func mergeTarget(old, target string) string {
	aim := resolve(old, target)
	moved, place := mergeUsr(aim), mergeUsr(old)
	if moved == aim && place == old {
		return target
	}
	if path.IsAbs(target) {
		return moved
	}
	short, err := filepath.Rel(path.Dir(place), moved)
	if err != nil {
		return moved // cannot be: both are absolute
	}
	return short
}

func resolve(link, target string) string {
	if path.IsAbs(target) {
		return path.Clean(target)
	}
	return path.Join(path.Dir(link), target)
}

var licenceLine = regexp.MustCompile(`(?m)^License:[ \t]*(\S.*)$`)

// licence reads the short names from a machine-readable copyright file
// (https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/).
func licence(files []deb.File, pkg string) string {
	const unknown = "see /usr/share/doc"
	for _, f := range files {
		if f.Name != "/usr/share/doc/"+pkg+"/copyright" || !strings.HasPrefix(string(f.Body), "Format:") {
			continue
		}
		seen := map[string]bool{}
		var names []string
		for _, m := range licenceLine.FindAllStringSubmatch(string(f.Body), -1) {
			if name := strings.TrimSpace(m[1]); !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			return strings.Join(names, " AND ")
		}
	}
	return unknown
}
