package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// splitUsers moves the users and groups of the system below /usr, where updates
// can change them: /etc keeps those of id 0, all others go to /usr/lib/passwd and
// /usr/lib/group, which nss-altfiles looks up. Groups in keep are in both, so
// that people can be added to them. A tree without nss-altfiles keeps all in
// /etc: nothing would find them elsewhere.
func (t *Tree) splitUsers(keep []string) error {
	if !t.hasAltfiles() {
		return nil
	}
	for _, kind := range []AccountKind{Users, Groups} {
		if err := t.splitFile(kind, keep); err != nil {
			return err
		}
	}
	return t.useAltfiles()
}

// hasAltfiles looks for the module where distributions keep theirs.
func (t *Tree) hasAltfiles() bool {
	for _, dir := range []string{"usr/lib*", "usr/lib/*-linux-gnu*"} {
		found, err := filepath.Glob(filepath.Join(t.Root, dir, "libnss_altfiles.so.2"))
		if err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}

func (t *Tree) splitFile(kind AccountKind, keep []string) error {
	etc, lib := filepath.Join(t.Root, "etc", kind.File()), filepath.Join(t.Root, "usr/lib", kind.File())
	text, err := os.ReadFile(etc)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	was, err := os.ReadFile(lib)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	stay, move := split(string(text), kind, keep)
	if err := replaceFile(etc, []byte(stay), 0o644); err != nil {
		return err
	}
	return replaceFile(lib, append(was, move...), 0o644)
}

func split(text string, kind AccountKind, keep []string) (stay, move string) {
	for line := range strings.Lines(MergeAccounts(text)) {
		f := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(f) < 3 {
			continue
		}
		if f[2] == "0" {
			stay += line
			continue
		}
		move += line
		if kind == Groups && slices.Contains(keep, f[0]) {
			stay += line
		}
	}
	return stay, move
}

// useAltfiles adds altfiles after files in the passwd and group lines of
// nsswitch.conf; a link is somebody else's business.
func (t *Tree) useAltfiles() error {
	path := filepath.Join(t.Root, "etc/nsswitch.conf")
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil //nolint:nilerr // no such file, or a link
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return replaceFile(path, []byte(addAltfiles(string(text))), info.Mode().Perm())
}

// addAltfiles puts altfiles behind the word files, or at the end of a line that
// lacks it, leaving the blanks of the line alone.
func addAltfiles(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		database, sources, _ := strings.Cut(line, ":")
		words := strings.Fields(sources)
		switch {
		case database != "passwd" && database != "group", slices.Contains(words, "altfiles"):
		case slices.Contains(words, "files"):
			line = strings.Replace(line, "files", "files altfiles", 1)
		default:
			line = strings.TrimRight(line, "\n") + " altfiles\n"
		}
		b.WriteString(line)
	}
	return b.String()
}

// SeedAccounts puts the users or groups of text into /etc in place of those that
// packages brought, before scripts add theirs, so that numbers stay the same from
// one build to the next.
func (t *Tree) SeedAccounts(kind AccountKind, text string) error {
	path := filepath.Join(t.Root, "etc", kind.File())
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := replaceFile(path, []byte(MergeAccounts(text)), 0o644); err != nil {
		return fmt.Errorf("seed %s: %w", kind.File(), err)
	}
	return nil
}

// CompleteShadow adds the lines of shadow for accounts that have none, after
// scripts: who makes accounts, such as systemd-sysusers, writes them only for
// those that it makes itself, and so not for seeded ones.
func (t *Tree) CompleteShadow(kind AccountKind, shadow string) error {
	if err := t.completeShadow(filepath.Join(t.Root, "etc", kind.Shadow()), shadow); err != nil {
		return fmt.Errorf("complete %s: %w", kind.Shadow(), err)
	}
	return nil
}

func (t *Tree) completeShadow(path, shadow string) error {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	merged := MergeAccounts(string(old), shadow)
	if merged == string(old) {
		return nil
	}
	var before unix.Stat_t // nobody may read a new one
	if err := unix.Stat(path, &before); err != nil && !errors.Is(err, os.ErrNotExist) {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if err := replaceFile(path, []byte(merged), os.FileMode(before.Mode&0o777)); err != nil {
		return err
	}
	return os.Chown(path, int(before.Uid), int(before.Gid))
}

// setHome lets useradd make homes where an OSTree system has them, whatever the
// package says: /home is a link into /var.
func (t *Tree) setHome() error {
	return t.editFile("etc/default/useradd", func(text string) string {
		var b strings.Builder
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "HOME=") {
				line = "HOME=/var/home\n"
			}
			b.WriteString(line)
		}
		return b.String()
	})
}
