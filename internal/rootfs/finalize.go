package rootfs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// FinalOptions shape the finished tree.
type FinalOptions struct {
	TmpIsDir        bool // /tmp is a directory, else a link to sysroot/tmp
	MachineIDCompat bool // an empty /etc/machine-id, else none
	EtcGroupMembers []string
	OptUsrlocal     string // "var" or "root"
}

// Finalize turns an assembled tree into one that OSTree can deploy: /etc becomes
// the defaults in /usr/etc, /var is emptied with tmpfiles.d lines that make it
// again, users move below /usr, and the top level gets the links into /var.
func (t *Tree) Finalize(o FinalOptions) error {
	steps := []struct {
		name string
		do   func() error
	}{
		{"machine id", func() error { return t.machineID(o.MachineIDCompat) }},
		{"users", func() error { return t.splitUsers(o.EtcGroupMembers) }},
		{"clean", t.clean},
		{"tmpfiles", t.writeTmpfiles},
		{"rpm database", t.placeDatabase},
		{"etc", func() error {
			return os.Rename(filepath.Join(t.Root, "etc"), filepath.Join(t.Root, "usr/etc"))
		}},
		{"top level", func() error { return t.skeleton(o) }},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			return fmt.Errorf("finalize the tree: %s: %w", s.name, err)
		}
	}
	return nil
}

// HasPolicy tells whether the tree carries a compiled SELinux policy.
func (t *Tree) HasPolicy() bool {
	policies, err := filepath.Glob(filepath.Join(t.Root, "etc/selinux/*/policy/policy.*"))
	return err == nil && len(policies) > 0
}

func (t *Tree) machineID(compat bool) error {
	path := filepath.Join(t.Root, "etc/machine-id")
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	if !compat {
		return nil
	}
	return os.WriteFile(path, nil, 0o444)
}

// clean removes what scripts and rpm leave behind and what would differ from one
// compose to the next.
func (t *Tree) clean() error {
	db := strings.TrimPrefix(DBPath, "/")
	for _, pattern := range []string{
		"etc/.pwd.lock", "etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/subuid-", "etc/subgid-",
		"etc/selinux/*/*.LOCK", db + "/.rpm.lock", db + "/__db.*", db + "/.dbenv.lock",
		db + "/rpmdb.sqlite-shm", db + "/rpmdb.sqlite-wal", "etc/ld.so.cache~",
	} {
		paths, err := filepath.Glob(filepath.Join(t.Root, pattern))
		if err != nil {
			return err
		}
		for _, p := range paths {
			if err := os.RemoveAll(p); err != nil {
				return err
			}
		}
	}
	return t.blankShadowDates()
}

// blankShadowDates empties the field "last change", which is the day of the
// compose.
func (t *Tree) blankShadowDates() error {
	path := filepath.Join(t.Root, "etc/shadow")
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(line, ":"); len(f) > 3 {
			f[2] = ""
			line = strings.Join(f, ":")
		}
		b.WriteString(line)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(b.String()), info.Mode().Perm())
}

// placeDatabase makes the rpm database readable from a read-only /usr and lets
// rpm find it at the places it is looked for.
func (t *Tree) placeDatabase() error {
	if err := t.rollbackJournal(); err != nil {
		return err
	}
	macros := filepath.Join(t.Root, "usr/lib/rpm/macros.d/macros.rpm-ostree")
	if err := os.MkdirAll(filepath.Dir(macros), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(macros, []byte("%_dbpath "+DBPath+"\n"), 0o644); err != nil {
		return err
	}
	sysimage := filepath.Join(t.Root, "usr/lib/sysimage")
	if err := os.MkdirAll(sysimage, 0o755); err != nil {
		return err
	}
	for link, target := range map[string]string{"rpm": "../../share/rpm"} {
		path := filepath.Join(sysimage, link)
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		if err := os.Symlink(target, path); err != nil {
			return err
		}
	}
	return linkDir(filepath.Join(t.Root, DBPath), filepath.Join(sysimage, "rpm-ostree-base-db"))
}

// rollbackJournal sets the database file from write-ahead logging to the
// rollback journal: SQLite cannot open a WAL database on a read-only file
// system. Bytes 18 and 19 of the header are the write and read versions; 1 means
// rollback journal (https://www.sqlite.org/fileformat.html, section 1.3).
func (t *Tree) rollbackJournal() error {
	f, err := os.OpenFile(filepath.Join(t.Root, DBPath, "rpmdb.sqlite"), os.O_RDWR, 0)
	if os.IsNotExist(err) {
		return nil // another database format
	}
	if err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte{1, 1}, 18); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// linkDir makes to a copy of the flat directory from out of hard links.
func linkDir(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if err := os.Link(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// keptLinks are the entries of the top level that packages decide about.
var keptLinks = []string{"bin", "sbin", "lib", "lib64", "lib32"}

// skeleton gives the tree the top level of a deployment. What packages put
// anywhere but below /usr, /etc, /var or /run has no place in one.
func (t *Tree) skeleton(o FinalOptions) error {
	if err := t.moveOpt(); err != nil {
		return err
	}
	entries, err := os.ReadDir(t.Root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == "usr" || slices.Contains(keptLinks, e.Name()) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(t.Root, e.Name())); err != nil {
			return err
		}
	}
	for _, dir := range []string{"dev", "proc", "run", "sys", "var", "sysroot", "boot"} {
		if err := os.Mkdir(filepath.Join(t.Root, dir), 0o755); err != nil {
			return err
		}
	}
	links := map[string]string{
		"ostree": "sysroot/ostree", "home": "var/home", "root": "var/roothome",
		"srv": "var/srv", "mnt": "var/mnt", "opt": "var/opt", "media": "run/media",
		"usr/local": "../var/usrlocal",
	}
	if o.OptUsrlocal == "root" {
		delete(links, "opt")
		delete(links, "usr/local")
		for _, dir := range []string{"opt", "usr/local"} {
			if err := os.MkdirAll(filepath.Join(t.Root, dir), 0o755); err != nil {
				return err
			}
		}
	}
	if o.TmpIsDir {
		tmp := filepath.Join(t.Root, "tmp")
		if err := os.Mkdir(tmp, 0o755); err != nil {
			return err
		}
		if err := os.Chmod(tmp, 0o777|os.ModeSticky); err != nil {
			return err
		}
	} else {
		links["tmp"] = "sysroot/tmp"
	}
	for name, target := range links {
		path := filepath.Join(t.Root, name)
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		if err := os.Symlink(target, path); err != nil {
			return err
		}
	}
	return os.Chmod(t.Root, 0o755)
}

// moveOpt puts what packages brought to /opt below /usr, where it is part of the
// commit; tmpfiles.d links it back.
func (t *Tree) moveOpt() error {
	entries, err := os.ReadDir(filepath.Join(t.Root, "opt"))
	if err != nil || len(entries) == 0 {
		return nil //nolint:nilerr // no /opt, or a link: nothing to move
	}
	return mergeDir(filepath.Join(t.Root, "opt"), filepath.Join(t.Root, "usr/lib/opt"))
}
