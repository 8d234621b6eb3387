package rootfs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// splitUsers moves the users and groups of the system below /usr, where updates
// can change them: /etc keeps those of id 0, all others go to /usr/lib/passwd and
// /usr/lib/group, which nss-altfiles looks up. Groups in keep are in both, so
// that people can be added to them. A tree without nss-altfiles keeps all in
// /etc: nothing would find them elsewhere.
func (t *Tree) splitUsers(keep []string) error {
	module, err := filepath.Glob(filepath.Join(t.Root, "usr/lib*/libnss_altfiles.so.2"))
	if err != nil || len(module) == 0 {
		multiarch, _ := filepath.Glob(filepath.Join(t.Root, "usr/lib/*/libnss_altfiles.so.2"))
		if len(multiarch) == 0 {
			return err
		}
	}
	for _, name := range []string{"passwd", "group"} {
		if err := t.splitFile(name, keep); err != nil {
			return err
		}
	}
	return t.useAltfiles()
}

func (t *Tree) splitFile(name string, keep []string) error {
	etc, lib := filepath.Join(t.Root, "etc", name), filepath.Join(t.Root, "usr/lib", name)
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
	stay, move := split(string(text), name == "group", keep)
	if err := os.WriteFile(etc, []byte(stay), 0o644); err != nil {
		return err
	}
	return os.WriteFile(lib, append(was, move...), 0o644)
}

func split(text string, isGroup bool, keep []string) (stay, move string) {
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(f) < 3 {
			continue
		}
		if f[2] == "0" {
			stay += line
			continue
		}
		move += line
		if isGroup && slices.Contains(keep, f[0]) {
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
	return os.WriteFile(path, []byte(addAltfiles(string(text))), info.Mode().Perm())
}

func addAltfiles(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		database, _, _ := strings.Cut(line, ":")
		if (database == "passwd" || database == "group") && !strings.Contains(line, "altfiles") {
			line = strings.Replace(line, "files", "files altfiles", 1)
		}
		b.WriteString(line)
	}
	return b.String()
}

// Seed writes passwd and group before packages are unpacked, so that ids stay
// the same from one build to the next. Empty text leaves a file alone.
func (t *Tree) Seed(passwd, group string) error {
	for name, text := range map[string]string{"passwd": passwd, "group": group} {
		if text == "" {
			continue
		}
		path := filepath.Join(t.Root, "etc", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return fmt.Errorf("seed %s: %w", name, err)
		}
	}
	return nil
}
