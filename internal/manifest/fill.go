package manifest

import (
	"regexp"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/document"
)

// fill gives the fields their values from the merged tree, whose shapes are
// known to be right, and the defaults of spec section 3 where it has none.
func (m *Manifest) fill(found *diag.List) {
	t := m.tree
	m.fillIdentity(t)
	m.fillPackages(t)
	m.fillContent(t, found)
	m.fillAccounts(t, found)
	m.fillBoot(t)
}

func (m *Manifest) fillIdentity(t tree) {
	m.Edition = t.text("edition", Edition2014)
	m.Ref = t.text("ref", "")
	m.Rojig = Rojig{
		Name: t.field("rojig", "name"), Summary: t.field("rojig", "summary"),
		License: t.field("rojig", "license"), Description: t.field("rojig", "description"),
	}
	m.Releasever = t.text("releasever", "")
	m.AutomaticVersionPrefix = t.text("automatic-version-prefix", "")
	m.AutomaticVersionSuffix = t.text("automatic-version-suffix", ".")[0]
	m.MutateOSRelease = t.text("mutate-os-release", "")
	m.Metadata = t.freeMap("metadata")
	m.AddCommitMetadata = t.freeMap("add-commit-metadata")
	m.ContainerCmd = t.texts("container-cmd")
}

func (m *Manifest) fillPackages(t tree) {
	m.Repos = t.items("repos")
	m.LockfileRepos = t.items("lockfile-repos")
	m.Packages = packages(t["packages"])
	m.ExcludePackages = packages(t["exclude-packages"])
	for _, n := range t["repo-packages"].Items {
		repo, _ := n.Get("repo")
		list, _ := n.Get("packages")
		m.RepoPackages = append(m.RepoPackages, RepoPackages{Repo: repo.Text, Packages: packages(list), Pos: n.Pos})
	}
	m.Recommends = t.bool("recommends", true)
	m.Documentation = t.bool("documentation", true)
	m.InstallLangs = t.texts("install-langs")
	m.RepoMetadata = t.text("repo-metadata", "inline")
	for _, f := range t["repovars"].Fields {
		if m.RepoVars == nil {
			m.RepoVars = map[string]string{}
		}
		m.RepoVars[f.Key] = f.Value.Text
	}
}

func (m *Manifest) fillContent(t tree, found *diag.List) {
	m.OSTreeLayers = t.items("ostree-layers")
	m.OSTreeOverrideLayers = t.items("ostree-override-layers")
	for _, n := range t["remove-from-packages"].Items {
		r := RemoveFromPackage{Package: n.Items[0].Text, Pos: n.Pos}
		for _, pattern := range n.Items[1:] {
			r.Patterns = append(r.Patterns, regexp.MustCompile(pattern.Text)) // compiled before, by the shape
		}
		m.RemoveFromPackages = append(m.RemoveFromPackages, r)
	}
	m.RemoveFiles = t.items("remove-files")
	for _, n := range t["add-files"].Items {
		if source, ok := external(n.Items[0], found); ok {
			dest, _ := destination(n.Items[1].Text)
			m.AddFiles = append(m.AddFiles, AddFile{Source: source, Dest: dest})
		}
	}
	m.Units = t.items("units")
	m.DefaultTarget = t.text("default-target", "")
	for _, n := range t["postprocess"].Items {
		m.Postprocess = append(m.Postprocess, Script{Body: n.Text, Pos: n.Pos})
	}
	if n, ok := t["postprocess-script"]; ok {
		if script, ok := external(n, found); ok {
			m.PostprocessScript = &script
		}
	}
	m.OptUsrlocal = t.text("opt-usrlocal", OptVar)
	if m.OptUsrlocal == "stateoverlay" {
		m.OptUsrlocal = OptStateOverlay
	}
	m.TmpIsDir = t.bool("tmp-is-dir", false)
	m.MachineIDCompat = t.bool("machineid-compat", true)
	m.ReadonlyExecutables = t.bool("readonly-executables", false)
	m.IgnoreDevices = t.bool("ignore-devices", true)
	m.PlatformModule = t.text("platform-module", "")
}

func (m *Manifest) fillAccounts(t tree, found *diag.List) {
	m.PreservePasswd = t.bool("preserve-passwd", true)
	m.CheckPasswd, m.CheckGroups = Check{Type: CheckPrevious}, Check{Type: CheckPrevious}
	if n, ok := t["check-passwd"]; ok {
		m.CheckPasswd, _ = parseCheck(n, found, true)
	}
	if n, ok := t["check-groups"]; ok {
		m.CheckGroups, _ = parseCheck(n, found, false)
	}
	m.IgnoreRemovedUsers = t.texts("ignore-removed-users")
	m.IgnoreRemovedGroups = t.texts("ignore-removed-groups")
	m.EtcGroupMembers = t.texts("etc-group-members")
}

func (m *Manifest) fillBoot(t tree) {
	m.BootLocation = t.text("boot-location", BootNew)
	m.NoInitramfs = t.bool("no-initramfs", false)
	m.InitramfsArgs = t.texts("initramfs-args")
	m.Container = t.bool("container", false)
	m.SELinux = t.bool("selinux", true)
	m.Rpmdb = RpmdbTarget
	if t.text("rpmdb", "") == RpmdbHost {
		m.Rpmdb = RpmdbHost
	}
}

func (t tree) text(key, otherwise string) string {
	if n, ok := t[key]; ok {
		return n.Text
	}
	return otherwise
}

func (t tree) bool(key string, otherwise bool) bool {
	if n, ok := t[key]; ok {
		return n.Text == "true"
	}
	return otherwise
}

func (t tree) field(key, field string) string {
	n, _ := t[key].Get(field)
	return n.Text
}

func (t tree) texts(key string) []string {
	var texts []string
	for _, n := range t[key].Items {
		texts = append(texts, n.Text)
	}
	return texts
}

func (t tree) items(key string) []Item {
	var items []Item
	for _, n := range t[key].Items {
		items = append(items, Item{Value: n.Text, Pos: n.Pos})
	}
	return items
}

func (t tree) freeMap(key string) map[string]any {
	n, ok := t[key]
	if !ok {
		return nil
	}
	fields, _ := n.Any().(map[string]any)
	return fields
}

func packages(n document.Node) []Package {
	var list []Package
	for _, item := range n.Items {
		list = append(list, Package{Name: item.Text, Pos: item.Pos})
	}
	return list
}
