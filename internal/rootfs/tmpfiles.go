package rootfs

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// A commit has an empty /var: what packages expect there is made at boot from
// tmpfiles.d lines (tmpfiles.d(5)).

// integration makes the directories that the links of the top level lead to.
const integration = `# Directories of an OSTree system that live in /var.
d /var/home 0755 root root -
d /var/srv 0755 root root -
d /var/roothome 0700 root root -
d /var/mnt 0755 root root -
d /run/media 0755 root root -
L /var/lib/rpm - - - - ../../usr/share/rpm
L /var/lib/selinux - - - - ../../etc/selinux
`

const integrationOpt = `# Where /opt and /usr/local lead to.
d /var/opt 0755 root root -
d /var/usrlocal 0755 root root -
d /var/usrlocal/bin 0755 root root -
d /var/usrlocal/etc 0755 root root -
d /var/usrlocal/games 0755 root root -
d /var/usrlocal/include 0755 root root -
d /var/usrlocal/lib 0755 root root -
d /var/usrlocal/man 0755 root root -
d /var/usrlocal/sbin 0755 root root -
d /var/usrlocal/share 0755 root root -
d /var/usrlocal/src 0755 root root -
`

// integrationFile tells a finalized tree, too.
const integrationFile = "rpm-ostree-0-integration.conf"

// integrations are the files, by name, that a layout of /opt and /usr/local
// needs.
func integrations(o FinalOptions) map[string]string {
	files := map[string]string{integrationFile: integration}
	if o.OptUsrlocal != OptStateOverlay {
		files["rpm-ostree-0-integration-opt-usrlocal.conf"] = integrationOpt
	}
	return files
}

// writeTmpfiles writes the lines for /var and /run, leaving out every path that
// a package's own tmpfiles.d names, and empties both.
func (t *Tree) writeTmpfiles(o FinalOptions) error {
	dir := filepath.Join(t.Root, "usr/lib/tmpfiles.d")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	named, err := shippedTmpfiles(t.Root)
	if err != nil {
		return err
	}
	for name, text := range integrations(o) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
		for line := range strings.Lines(text) {
			if f := strings.Fields(line); len(f) > 1 && f[0] != "#" {
				named[f[1]] = true
			}
		}
	}
	lines, err := t.tmpfilesLines(named)
	if err != nil {
		return err
	}
	stays, err := t.optStays(o)
	if err != nil {
		return err
	}
	if !stays {
		lines = append(lines, t.optLines()...)
	}
	slices.Sort(lines)
	text := "# Made of what packages brought to /var, /run and /opt.\n" + strings.Join(lines, "")
	if err := os.WriteFile(filepath.Join(dir, "rpm-ostree-autovar.conf"), []byte(text), 0o644); err != nil {
		return err
	}
	for _, name := range []string{"var", "run"} {
		if err := os.RemoveAll(filepath.Join(t.Root, name)); err != nil {
			return err
		}
	}
	return nil
}

// tmpfilesLines describes what packages brought below /var and /run and what
// directories and links else are there.
func (t *Tree) tmpfilesLines(named map[string]bool) ([]string, error) {
	byPath, err := t.packageTmpfilesLines()
	if err != nil {
		return nil, err
	}
	users, err := names(filepath.Join(t.Root, "etc/passwd"), filepath.Join(t.Root, "usr/lib/passwd"))
	if err != nil {
		return nil, err
	}
	groups, err := names(filepath.Join(t.Root, "etc/group"), filepath.Join(t.Root, "usr/lib/group"))
	if err != nil {
		return nil, err
	}
	for _, top := range []string{"var", "run"} {
		err := filepath.WalkDir(filepath.Join(t.Root, top), func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel := "/" + strings.TrimPrefix(strings.TrimPrefix(path, t.Root), "/")
			name := escapeTmpfiles(rel)
			if rel == "/"+top || byPath[name] != "" || rel == "/var/run" || rel == "/var/lock" || rel == "/var/lib/rpm" {
				return nil
			}
			byPath[name], err = stateLine(path, name, entry, users, groups)
			return err
		})
		if err != nil && !os.IsNotExist(err) {
			return nil, err
		}
	}
	var lines []string
	for path, line := range byPath {
		if line != "" && !named[path] {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// stateLine is the line for a directory or link of the tree that no package
// describes; "" for files, whose content is not carried over.
func stateLine(path, name string, entry fs.DirEntry, users, groups map[uint32]string) (string, error) {
	switch {
	case entry.IsDir():
		info, err := entry.Info()
		if err != nil {
			return "", err
		}
		owner := info.Sys().(*syscall.Stat_t)
		return fmt.Sprintf("d %s %04o %s %s - -\n", name, octal(info.Mode()), orID(users, owner.Uid), orID(groups, owner.Gid)), nil
	case entry.Type()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		return fmt.Sprintf("L %s - - - - %s\n", name, strings.ReplaceAll(target, "%", "%%")), err
	}
	return "", nil
}

// optLines are the links that lead from /opt below /usr.
func (t *Tree) optLines() []string {
	entries, err := os.ReadDir(filepath.Join(t.Root, "opt"))
	if err != nil {
		return nil // no /opt
	}
	var lines []string
	for _, e := range entries {
		lines = append(lines, fmt.Sprintf("L /opt/%s - - - - ../../usr/lib/opt/%s\n", e.Name(), e.Name()))
	}
	return lines
}

// octal is the mode as chmod takes it, set-id and sticky bits included.
func octal(m fs.FileMode) uint32 {
	bits := uint32(m.Perm())
	for mode, bit := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&mode != 0 {
			bits |= bit
		}
	}
	return bits
}

func orID(names map[uint32]string, id uint32) string {
	if name, ok := names[id]; ok {
		return name
	}
	return fmt.Sprint(id)
}

// escapeTmpfiles protects what tmpfiles.d would take for a specifier or a blank.
func escapeTmpfiles(path string) string {
	return strings.NewReplacer("%", "%%", " ", `\x20`).Replace(path)
}

// names reads passwd or group files into a table from number to name.
func names(paths ...string) (map[uint32]string, error) {
	byID := map[uint32]string{0: "root"}
	for _, path := range paths {
		table, err := ids(path)
		if err != nil {
			return nil, err
		}
		for name, id := range table {
			if old, ok := byID[uint32(id)]; !ok || name < old {
				byID[uint32(id)] = name
			}
		}
	}
	byID[0] = "root"
	return byID, nil
}

// shippedTmpfiles gathers the paths that any tmpfiles.d file of the tree names.
func shippedTmpfiles(root string) (map[string]bool, error) {
	named := map[string]bool{}
	for _, pattern := range []string{"usr/lib/tmpfiles.d/*.conf", "etc/tmpfiles.d/*.conf"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if err := addTmpfiles(file, named); err != nil {
				return nil, err
			}
		}
	}
	return named, nil
}

func addTmpfiles(file string, named map[string]bool) error {
	f, err := os.Open(file)
	if err != nil {
		if os.IsNotExist(err) { // a link to nowhere masks a file
			return nil
		}
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if strings.ContainsRune("dDvqQLfFpCcbwe", rune(fields[0][0])) {
			path := strings.TrimSuffix(strings.Trim(fields[1], `"`), "/")
			named[strings.Replace(path, "/var/run/", "/run/", 1)] = true
		}
	}
	return lines.Err()
}
