// Package manifest reads treefiles: the YAML or JSON files, in the format of
// rpm-ostree, that say what an operating system is made of. It follows their
// includes, merges and substitutes, checks everything that can be checked
// without packages, and gives the result as one Manifest.
//
// What is wrong is reported all at once, each with its place in its file.
package manifest

import (
	"errors"
	"io/fs"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/document"
)

// Options say for what a treefile is read.
type Options struct {
	Arch arch.Arch // required
}

// Manifest is a flattened treefile. Absent keys have their defaults, which JSON
// leaves out. It is to be read, not changed.
type Manifest struct {
	Path     string // as given to Load
	Arch     arch.Arch
	Warnings []diag.Finding // probably not what was meant, but usable

	// Identity.
	Ref                    string // branch of the commit; may be empty
	Rojig                  Rojig
	Releasever             string // also dnf's $releasever; may be empty
	AutomaticVersionPrefix string // for NextVersion
	AutomaticVersionSuffix byte   // for NextVersion; '.' by default
	MutateOSRelease        string // text in os-release to replace by the version; empty: leave the file
	Metadata               map[string]any
	AddCommitMetadata      map[string]any
	ContainerCmd           []string
	Edition                string // Edition2014 or Edition2024

	// Packages.
	Repos           []Item // enabled repositories; none: all enabled ones
	LockfileRepos   []Item // enabled only together with a lockfile
	Packages        []Package
	ExcludePackages []Package
	RepoPackages    []RepoPackages
	Recommends      bool // install weak dependencies
	Documentation   bool
	InstallLangs    []string // none: all
	RepoMetadata    string   // inline, detached or disabled
	RepoVars        map[string]string

	// Content.
	OSTreeLayers         []Item
	OSTreeOverrideLayers []Item
	RemoveFromPackages   []RemoveFromPackage
	RemoveFiles          []Item // relative paths
	AddFiles             []AddFile
	Units                []Item
	DefaultTarget        string
	Postprocess          []Script
	PostprocessScript    *External // nil: none
	OptUsrlocal          string    // OptVar, OptRoot or OptStateOverlay
	TmpIsDir             bool
	MachineIDCompat      bool
	ReadonlyExecutables  bool
	IgnoreDevices        bool
	PlatformModule       string

	// Accounts.
	PreservePasswd      bool
	CheckPasswd         Check
	CheckGroups         Check
	IgnoreRemovedUsers  []string // "*" stands for all
	IgnoreRemovedGroups []string
	EtcGroupMembers     []string

	// Boot, labels and databases.
	BootLocation  string // BootModules, BootNew or BootKernelInstall
	NoInitramfs   bool
	InitramfsArgs []string // none: the composer's own
	Container     bool
	SELinux       bool
	Rpmdb         string // RpmdbTarget or RpmdbHost

	tree tree
}

// Values of Manifest's enumerations.
const (
	Edition2014 = "2014"
	Edition2024 = "2024"

	BootModules       = "modules"        // kernel in /usr/lib/modules only
	BootNew           = "new"            // also in /usr/lib/ostree-boot
	BootKernelInstall = "kernel-install" // as modules, but kernel scriptlets run

	OptVar          = "var"           // /opt -> var/opt
	OptRoot         = "root"          // plain directories
	OptStateOverlay = "state-overlay" // overlays mounted at boot

	RpmdbTarget = "target" // written by the target's rpm
	RpmdbHost   = "host"   // left as this machine's rpm wrote it
)

// Rojig names the system.
type Rojig struct {
	Name, Summary, License, Description string
}

// Package is something to install or to hide: a name, provide, file path,
// NEVRA, or a relation such as "podman >= 4.1".
type Package struct {
	Name string
	Pos  diag.Pos
}

// Item is one element of a list together with its place.
type Item struct {
	Value string
	Pos   diag.Pos
}

// RepoPackages are packages that may come from one repository only.
type RepoPackages struct {
	Repo     string
	Packages []Package
	Pos      diag.Pos
}

// Script is an inline script with its own interpreter line.
type Script struct {
	Body string
	Pos  diag.Pos
}

// Name is rojig.name: the stateroot and the beginning of artifact names.
func (m *Manifest) Name() string { return m.Rojig.Name }

// Load reads the treefile at path and everything it includes. The error is a
// *diag.Errors that holds every finding.
func Load(path string, o Options) (*Manifest, error) {
	l := newLoader(o.Arch)
	t, err := l.file(path, 0)
	if err != nil {
		l.found.Addf(diag.Pos{File: path}, "%v", err)
		return nil, l.found.Err()
	}
	m := &Manifest{Path: path, Arch: o.Arch, tree: l.finish(t)}
	m.fill(&l.found)
	if !l.partial {
		m.require(&l.found)
	}
	m.check(&l.found)
	if err := l.found.Err(); err != nil {
		return nil, err
	}
	m.Warnings = l.found.Sorted()
	return m, nil
}

// reason is a file error without the path, which the finding's text has.
func reason(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

// tree is a treefile as nodes, by key in its modern spelling. Keys that are
// null are absent.
type tree map[string]document.Node
