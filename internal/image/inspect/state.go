package inspect

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// state looks for what belongs to one machine alone and must not be on an image
// that many start from.
func (i *inspector) state(root, tree files) {
	if !tree.has("/etc") {
		i.bad("deployment:/etc", "is missing")
		return
	}
	i.machineID(tree)
	for _, name := range tree.names("/etc/ssh", "ssh_host_*key*") {
		i.bad("deployment:/etc/ssh/"+name, "is a host key, which every machine would have")
	}
	i.fstab(tree)
	i.passwords(tree)
	for _, home := range []string{"/root", "/core", "/nest"} {
		at := path.Join("/ostree/deploy", i.img.Deployment.Stateroot, "var", map[bool]string{true: "roothome", false: "home" + home}[home == "/root"], ".ssh/authorized_keys")
		if _, err := root.lstat(at); err == nil {
			i.bad("root:"+at, "lets someone into every machine")
		}
	}
	i.variable(root)
	i.etc(tree)
}

// machineID must be empty, or say that it is not there yet.
func (i *inspector) machineID(tree files) {
	text, err := tree.text("/etc/machine-id")
	if err != nil {
		return // systemd makes it
	}
	if word := strings.TrimSpace(string(text)); word != "" && word != "uninitialized" {
		i.bad("deployment:/etc/machine-id", "is set, so that every machine would have the same")
	}
}

// fstab finds file systems that the image mounts by itself.
func (i *inspector) fstab(tree files) {
	text, err := tree.text("/etc/fstab")
	if err != nil {
		return
	}
	for n, line := range strings.Split(string(text), "\n") {
		if fields := strings.Fields(line); len(fields) > 0 && !strings.HasPrefix(fields[0], "#") {
			i.badLine("deployment:/etc/fstab", n+1, "mounts %s; the initramfs and systemd find what an image has by themselves", fields[0])
		}
	}
}

// passwords finds accounts that anybody could use who has read the image.
func (i *inspector) passwords(tree files) {
	text, err := tree.text("/etc/shadow")
	if err != nil {
		return
	}
	for n, line := range strings.Split(string(text), "\n") {
		fields := strings.Split(line, ":")
		if len(fields) < 2 {
			continue
		}
		switch word := fields[1]; {
		case word == "":
			i.badLine("deployment:/etc/shadow", n+1, "the account %s has an empty password", fields[0])
		case strings.HasPrefix(word, "$"):
			i.badLine("deployment:/etc/shadow", n+1, "the account %s has a password, which every machine would have", fields[0])
		}
	}
}

// variable looks at /var, which the first boot fills.
func (i *inspector) variable(root files) {
	base := path.Join("/ostree/deploy", i.img.Deployment.Stateroot, "var")
	if !root.has(base) {
		i.bad("root:"+base, "is missing")
		return
	}
	for name, what := range map[string]string{
		"lib/systemd/random-seed": "a random seed, which every machine would begin with",
		"log/journal":             "a journal; the image was booted",
		"lib/NetworkManager":      "the state of a network",
		"lib/dbus/machine-id":     "a machine id, which every machine would have",
	} {
		if _, err := root.lstat(path.Join(base, name)); err == nil {
			i.bad("root:"+path.Join(base, name), "is %s", what)
		}
	}
}

// maxNamed bounds how many files of one kind are named one by one.
const maxNamed = 5

// etc holds the deployment's /etc against the tree's own, of which it is a copy.
func (i *inspector) etc(tree files) {
	var differ []string
	i.compare(tree, "", &differ)
	slices.Sort(differ)
	for n, line := range differ {
		if n == maxNamed {
			i.bad("deployment:/etc", "%d more files differ from /usr/etc", len(differ)-n)
			break
		}
		name, what, _ := strings.Cut(line, "\x00")
		i.bad("deployment:/etc"+name, "%s", what)
	}
}

// installer are the files in /etc that a live system has more than its tree.
var installer = []string{"/systemd/system/nestos-install.service", "/systemd/system/multi-user.target.wants/nestos-install.service"}

// ofInstaller tells whether a path is one of them or a directory on the way.
func ofInstaller(at string) bool {
	return slices.ContainsFunc(installer, func(file string) bool { return file == at || strings.HasPrefix(file, at+"/") })
}

// told are the files of /etc that other checks speak of.
var told = []string{"/machine-id", "/fstab", "/shadow"}

func (i *inspector) compare(tree files, dir string, differ *[]string) {
	if strings.Count(dir, "/") > maxDepth {
		i.tooDeep("/etc" + dir)
		return
	}
	if !i.mayWalk() {
		return
	}
	from, err := tree.entries("/usr/etc" + dir)
	if err != nil {
		i.bad("deployment:/usr/etc"+dir, "%s", plainError(err))
		return
	}
	to, err := tree.entries("/etc" + dir)
	if err != nil {
		i.bad("deployment:/etc"+dir, "%s", plainError(err))
		return
	}
	note := func(name, what string) { *differ = append(*differ, dir+"/"+name+"\x00"+what) }
	for _, have := range to {
		at := dir + "/" + have.Name
		k, found := slices.BinarySearchFunc(from, have.Name, func(i info, name string) int { return strings.Compare(i.Name, name) })
		if slices.Contains(told, at) || strings.HasPrefix(have.Name, "ssh_host_") || i.disk.format == ISO && !found && ofInstaller(at) {
			continue
		}
		if !found {
			note(have.Name, "is not in /usr/etc")
			continue
		}
		want := from[k]
		switch {
		case have.Mode != want.Mode:
			note(have.Name, fmt.Sprintf("has the mode %s; /usr/etc has %s", have.Mode, want.Mode))
		case have.UID != want.UID || have.GID != want.GID:
			note(have.Name, fmt.Sprintf("belongs to %d:%d; /usr/etc has %d:%d", have.UID, have.GID, want.UID, want.GID))
		case have.Mode.IsDir():
			i.compare(tree, at, differ)
		case have.link() && have.Target != want.Target:
			note(have.Name, "leads elsewhere than in /usr/etc")
		case have.regular() && !i.same(tree, "/etc"+at, "/usr/etc"+at, have.Size == want.Size):
			note(have.Name, "differs from /usr/etc")
		}
	}
	for _, want := range from {
		if _, found := slices.BinarySearchFunc(to, want.Name, func(i info, name string) int { return strings.Compare(i.Name, name) }); !found && !slices.Contains(told, dir+"/"+want.Name) {
			note(want.Name, "is missing; /usr/etc has it")
		}
	}
}

// same compares two files.
func (i *inspector) same(tree files, a, b string, sizes bool) bool {
	if !sizes {
		return false
	}
	var texts [2][]byte
	for n, name := range []string{a, b} {
		err := tree.stream(name, func(_ info, in io.Reader) (err error) {
			texts[n], err = io.ReadAll(io.LimitReader(in, maxText))
			return err
		})
		if err != nil {
			return false
		}
	}
	return bytes.Equal(texts[0], texts[1])
}
