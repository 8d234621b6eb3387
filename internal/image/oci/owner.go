package oci

import (
	"fmt"
	"path"
	"strings"
)

// Component is a set of files that change together and that no package brought, or
// not as they are now: an overlay, the initramfs.
type Component struct {
	// Name has a slash in it, such as overlay/05core; names of packages have none.
	Name string
	// Files are paths in the final tree that are the component's whoever else
	// brought them, as in PackageFiles.
	Files []string
	// Dirs are directories below which it has what no package brought.
	Dirs []string
}

// maxComponents keeps the layers of an image below what storage drivers can stack.
const maxComponents = 24

func isComponent(name string) bool { return strings.Contains(name, "/") }

// owners tells whose an object is.
type owners struct {
	packages map[string]string // by path
	files    map[string]int    // component by path
	dirs     map[string]int    // and by directory
	names    []string          // of components
}

func newOwners(packages []PackageFiles, components []Component) (*owners, error) {
	o := &owners{packages: map[string]string{}, files: map[string]int{}, dirs: map[string]int{}}
	for _, p := range packages {
		if p.Name == "" || p.Name == unpackaged || strings.ContainsAny(p.Name, ",/") {
			return nil, fmt.Errorf("%q cannot be the name of a package in a container image", p.Name)
		}
		for _, file := range p.Paths {
			file = inCommit(file)
			if other, ok := o.packages[file]; !ok || p.Name < other {
				o.packages[file] = p.Name
			}
		}
	}
	for i, c := range components {
		if !isComponent(c.Name) || strings.Contains(c.Name, ",") {
			return nil, fmt.Errorf("%q cannot be the name of a component in a container image", c.Name)
		}
		if i == maxComponents {
			break
		}
		o.names = append(o.names, c.Name)
		keepFirst(o.files, c.Files, i)
		keepFirst(o.dirs, c.Dirs, i)
	}
	return o, nil
}

func keepFirst(at map[string]int, paths []string, component int) {
	for _, p := range paths {
		p = inCommit(p)
		if _, ok := at[p]; !ok {
			at[p] = component
		}
	}
}

// inCommit is where a commit has a path of the running system.
func inCommit(p string) string {
	if strings.HasPrefix(p, "/etc/") {
		return "/usr" + p
	}
	return p
}

// of returns the owner; empty: nobody. Content that several have is a package's,
// as packages change the least; of several packages that of the first by name, of
// several components that of the first in the list. So the choice depends on
// nothing else.
func (o *owners) of(object *object) string {
	owner, component := "", len(o.names)
	for _, p := range object.paths {
		if at, ok := o.files[p]; ok {
			component = min(component, at)
		} else if name, ok := o.packages[p]; ok {
			if owner == "" || name < owner {
				owner = name
			}
		} else if at, ok := o.below(p); ok {
			component = min(component, at)
		}
	}
	if owner == "" && component < len(o.names) {
		owner = o.names[component]
	}
	return owner
}

// below finds the component of the nearest directory above a path.
func (o *owners) below(p string) (component int, ok bool) {
	for p != "/" && !ok {
		p = path.Dir(p)
		component, ok = o.dirs[p]
	}
	return component, ok
}
