package inspect

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/imageconf"
)

// alephName is the file that tells what a machine was installed from.
const alephName = "/.nestos-aleph-version.json"

// system looks at what the partitions hold together.
func (i *inspector) system() {
	i.bios()
	boot, root := i.filesOf(image.BootPartition), i.filesOf(image.RootPartition)
	var tree *files
	if root != nil {
		tree = i.sysroot(*root)
	}
	if tree != nil {
		i.readConfig(*tree)
	}
	if boot != nil {
		i.menu(*boot)
		i.grub(*boot)
		i.consoles(*boot)
		i.firstBoot(*boot)
	}
	i.esp(boot)
	if boot != nil && root != nil && tree != nil {
		i.kernels(*boot, *root, *tree)
	}
	if tree != nil {
		i.osRelease(*tree)
		i.extraKargs()
		i.state(*root, *tree)
		i.packages(*root, *tree)
	}
}

// filesOf are the files of a partition; nil where they cannot be read.
func (i *inspector) filesOf(number int) *files {
	p := i.parts[number]
	if p == nil || p.files == nil {
		if p != nil && p.Filesystem != nil && p.Filesystem.Type == "btrfs" {
			i.odd(p.name(), "files on btrfs cannot be looked at; only its superblock was")
		}
		return nil
	}
	return p.files
}

// sysroot looks at the physical root and finds the deployment in it.
func (i *inspector) sysroot(root files) *files {
	if top, err := root.lstat("/"); err == nil {
		i.immutable("/", top)
	}
	i.topLevel(root)
	i.aleph(root)
	i.repoConfig(root)
	return i.onlyDeployment(root)
}

// onlyDeployment finds the deployment, of which an image has one.
func (i *inspector) onlyDeployment(root files) *files {
	const base = "/ostree/deploy"
	var found []string
	for _, os := range root.names(base, "*") {
		for _, name := range root.names(path.Join(base, os, "deploy"), "*") {
			if !strings.HasSuffix(name, ".origin") {
				found = append(found, path.Join(base, os, "deploy", name))
			}
		}
	}
	switch len(found) {
	case 0:
		i.bad("root:"+base, "there is no deployment")
		return nil
	case 1:
	default:
		i.bad("root:"+base, "there are %d deployments instead of one", len(found))
	}
	return i.deployment(root, found[0])
}

// immutable looks at the flag that keeps people from writing where nothing is
// kept.
func (i *inspector) immutable(name string, at info) {
	if at.Immutable != nil && !*at.Immutable {
		i.bad("root:"+name, "is not immutable")
	}
}

// topLevel finds what nobody put into the physical root.
func (i *inspector) topLevel(root files) {
	known := []string{"ostree", "boot", alephName[1:], "lost+found"}
	list, err := root.entries("/")
	if err != nil {
		i.bad("root:/", "%s", plainError(err))
	}
	for _, entry := range list {
		if !slices.Contains(known, entry.Name) {
			i.bad("root:/"+entry.Name, "does not belong into the physical root")
		}
	}
	if !root.has("/boot") {
		i.bad("root:/boot", "the mount point is missing")
	} else if inside := root.names("/boot", "*"); len(inside) > 0 {
		i.bad("root:/boot", "the mount point is not empty: %s", inside[0])
	}
}

func (i *inspector) aleph(root files) {
	where := "root:" + alephName
	text, err := root.text(alephName)
	if err != nil {
		i.bad(where, "%s", plainError(err))
		return
	}
	a := &Aleph{}
	if err := json.Unmarshal(text, a); err != nil {
		i.bad(where, "is no JSON object: %v", err)
		return
	}
	i.img.Aleph = a
	for _, c := range []struct{ key, got, want string }{
		{"build", a.Build, i.want.Build}, {"ref", a.Ref, i.want.Ref},
		{"ostree-commit", a.Commit, i.want.Commit}, {"imgid", a.ImageID, i.want.FileName},
	} {
		if c.want != "" && c.got != c.want {
			i.bad(where, "%s is %q instead of %q", c.key, c.got, c.want)
		}
	}
}

// repoConfig reads the options that the deployed system lives with.
func (i *inspector) repoConfig(root files) {
	const at, where = "/ostree/repo/config", "root:/ostree/repo/config"
	text, err := root.text(at)
	if err != nil {
		i.bad(where, "%s", plainError(err))
		return
	}
	options := keyFile(text)
	for key, want := range map[string]string{"sysroot.readonly": "true", "core.mode": "bare"} {
		if got := options[key]; got != want {
			i.bad(where, "%s is %q instead of %s", key, got, want)
		}
	}
	if loader := options["sysroot.bootloader"]; loader != "none" && loader != "syslinux" {
		i.bad(where, "sysroot.bootloader is %q: an update would look for a boot loader that is not there", loader)
	}
	if root.has("/ostree/repo/state") {
		for _, name := range root.names("/ostree/repo/state", "*.commitpartial") {
			i.bad("root:/ostree/repo/state/"+name, "the commit is not complete")
		}
	}
}

// keyFile reads the groups and keys of GLib's key files.
func keyFile(text []byte) map[string]string {
	out, group := map[string]string{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch key, value, found := strings.Cut(line, "="); {
		case strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]"):
			group = line[1 : len(line)-1]
		case found && !strings.HasPrefix(line, "#"):
			out[group+"."+strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return out
}

// deployment looks at the tree at a path such as
// /ostree/deploy/OS/deploy/COMMIT.0.
func (i *inspector) deployment(root files, at string) *files {
	name := path.Base(at)
	commit, _, _ := strings.Cut(name, ".")
	d := &Deployment{Stateroot: path.Base(path.Dir(path.Dir(at))), Commit: commit}
	i.img.Deployment = d
	if i.want.Commit != "" && commit != i.want.Commit {
		i.bad("root:"+at, "the deployed commit is %s instead of %s", commit, i.want.Commit)
	}
	if i.want.Name != "" && d.Stateroot != i.want.Name {
		i.bad("root:"+at, "the stateroot is %q instead of %q", d.Stateroot, i.want.Name)
	}
	if a := i.img.Aleph; a != nil && a.Commit != commit {
		i.bad("root:"+alephName, "ostree-commit is not the deployed commit %s", commit)
	}
	origin, err := root.text(at + ".origin")
	if err != nil {
		i.bad("root:"+at+".origin", "%s", plainError(err))
	} else {
		d.Origin = keyFile(origin)["origin.refspec"]
		if d.Origin == "" {
			d.Origin = keyFile(origin)["origin.container-image-reference"]
		}
		if d.Origin == "" {
			i.bad("root:"+at+".origin", "does not say where the deployment comes from")
		} else if ref := strings.TrimPrefix(d.Origin[strings.Index(d.Origin, ":")+1:], ":"); i.want.Ref != "" && len(d.Origin) != 64 && ref != i.want.Ref && !strings.Contains(d.Origin, "/"+ref+":") {
			i.bad("root:"+at+".origin", "the refspec is %q; the build's ref is %q", d.Origin, i.want.Ref)
		} else if len(d.Origin) == 64 && d.Origin != commit {
			i.bad("root:"+at+".origin", "the refspec is another commit than the deployed one")
		}
	}
	if top, err := root.lstat(at); err == nil {
		i.immutable(at, top)
	}
	tree := root.below(at)
	if !tree.has("/usr") {
		i.bad("root:"+at, "the deployment has no /usr")
		return nil
	}
	return &tree
}

// readConfig reads the image configuration that the tree was committed with.
func (i *inspector) readConfig(tree files) {
	const at, where = "/usr/share/coreos-assembler/image.json", "deployment:/usr/share/coreos-assembler/image.json"
	text, err := tree.text(at)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) || i.want.ImageConfig != "" {
			i.bad(where, "%s", plainError(err))
		}
		return
	}
	sum := sha256.Sum256(text)
	if got := hex.EncodeToString(sum[:]); i.want.ImageConfig != "" && got != i.want.ImageConfig {
		i.bad(where, "is not the configuration that the build was made with: sha256 %s instead of %s", got, i.want.ImageConfig)
	}
	if i.config, err = imageconf.Parse(text); err != nil {
		i.bad(where, "cannot be read: %v", err)
		i.config = nil
		return
	}
	if root := i.parts[image.RootPartition]; root != nil && root.Filesystem != nil {
		want := strings.TrimSuffix(i.config.RootFS, "verity")
		if root.Filesystem.Type != want {
			i.bad("root", "the file system is %s instead of %s of image.yaml", root.Filesystem.Type, want)
		}
	}
}

// extraKargs looks for the arguments that image.yaml adds.
func (i *inspector) extraKargs() {
	if i.config == nil {
		return
	}
	for _, e := range i.img.Entries {
		for _, extra := range i.config.ExtraKargs {
			for _, arg := range strings.Fields(extra) {
				if !slices.Contains(e.Kargs, arg) {
					i.bad("boot:/loader/entries/"+e.File, "the kernel argument %s of image.yaml is missing", arg)
				}
			}
		}
	}
}

// osRelease reads what the system calls itself.
func (i *inspector) osRelease(tree files) {
	const where = "deployment:/usr/lib/os-release"
	text, err := tree.text("/usr/lib/os-release")
	if err != nil {
		i.bad(where, "%s", plainError(err))
		return
	}
	i.img.OSRelease = map[string]string{}
	for line := range strings.Lines(string(text)) {
		if key, value, found := strings.Cut(strings.TrimSpace(line), "="); found && !strings.HasPrefix(key, "#") {
			i.img.OSRelease[key] = strings.Trim(value, `"'`)
		}
	}
	if i.img.OSRelease["ID"] == "" {
		i.bad(where, "has no ID")
	}
	if v := i.img.OSRelease["OSTREE_VERSION"]; v != "" && i.img.Deployment.Version != "" && v != i.img.Deployment.Version {
		i.bad(where, "OSTREE_VERSION is %q, the commit's version is %q", v, i.img.Deployment.Version)
	}
}
