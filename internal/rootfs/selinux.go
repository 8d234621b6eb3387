package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ErrNoPolicy says that a tree cannot be labelled.
var ErrNoPolicy = errors.New("the tree has no SELinux policy; add one to the packages, or say selinux: false in the manifest")

// semodule compiles modules into the policy.
const semodule = "/usr/sbin/semodule"

// HasPolicy tells whether the tree carries a compiled SELinux policy.
func (t *Tree) HasPolicy() bool {
	policies, err := filepath.Glob(filepath.Join(t.Root, "etc/selinux/*/policy/policy.*"))
	return err == nil && len(policies) > 0
}

// placePolicyStore moves the modules of SELinux policies from /var, which is not
// part of a commit, to /etc/selinux, and lets semanage find them there.
func (t *Tree) placePolicyStore() error {
	stores, err := os.ReadDir(filepath.Join(t.Root, "var/lib/selinux"))
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	for _, store := range stores {
		if !store.IsDir() {
			continue
		}
		from := filepath.Join(t.Root, "var/lib/selinux", store.Name())
		if err := mergeDir(from, filepath.Join(t.Root, "etc/selinux", store.Name())); err != nil {
			return fmt.Errorf("move the SELinux policy store: %w", err)
		}
		if err := os.Remove(from); err != nil {
			return err
		}
	}
	if len(stores) == 0 && !t.has(semodule) {
		return nil
	}
	return t.editFile("etc/selinux/semanage.conf", setStoreRoot)
}

const storeRoot = "store-root=/etc/selinux"

func setStoreRoot(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		key, _, isPair := strings.Cut(line, "=")
		if isPair && strings.TrimSpace(key) == "store-root" {
			continue
		}
		b.WriteString(strings.TrimRight(line, "\n") + "\n")
	}
	return b.String() + storeRoot + "\n"
}

// BuildPolicy compiles the SELinux policy anew, with all that scripts changed in
// it, and with the paths that an OSTree system has. It returns ErrNoPolicy if
// there is none in the end.
func (t *Tree) BuildPolicy(ctx context.Context, live io.Writer) error {
	if err := t.setHome(); err != nil { // homes are labelled by what useradd says
		return err
	}
	if err := t.placePolicyStore(); err != nil {
		return err
	}
	if err := t.substitutePaths(); err != nil {
		return err
	}
	if t.has(semodule) && t.hasModules() {
		if err := t.run(ctx, sandbox{live: live}, semodule, "-nB"); err != nil {
			return fmt.Errorf("compile the SELinux policy: %w", err)
		}
	}
	if !t.HasPolicy() {
		return ErrNoPolicy
	}
	return t.outdateCaches()
}

// has tells whether the tree has a file, links of directories being followed.
func (t *Tree) has(path string) bool {
	real, err := t.resolve(path)
	if err != nil {
		return false
	}
	_, err = os.Lstat(real)
	return err == nil
}

// hasModules tells whether there is anything to compile: a policy may come as
// its binary form alone.
func (t *Tree) hasModules() bool {
	modules, err := filepath.Glob(filepath.Join(t.Root, "etc/selinux/*/active/modules/*/*"))
	return err == nil && len(modules) > 0
}

// pathSubstitutions say where an OSTree system has what the policy knows under
// another name. Those that go from /usr/etc and /usr/lib/opt are for the commit.
var pathSubstitutions = []string{"/home /var/home", "/usr/etc /etc", "/usr/lib/opt /opt"}

// substitutePaths adds them to file_contexts.subs_dist of every policy. Their
// order is that of the file: the last match wins, and only one is applied.
func (t *Tree) substitutePaths() error {
	files, err := filepath.Glob(filepath.Join(t.Root, "etc/selinux/*/contexts/files/file_contexts.subs_dist"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := t.editFile(strings.TrimPrefix(file, t.Root), substitutions); err != nil {
			return err
		}
	}
	return nil
}

// substitutions comments out the rule that would send /var/home to /home, and
// adds what is missing; rules for aliases below /etc get a copy for /usr/etc,
// since a path is substituted only once.
func substitutions(text string) string {
	var lines, aliases []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		f := strings.Fields(line)
		if len(f) == 2 && f[0] == "/var/home" {
			line = "# " + line + " # homes are in /var/home"
		}
		lines = append(lines, line)
		if len(f) == 2 && strings.HasPrefix(f[0], "/etc/") {
			aliases = append(aliases, "/usr"+f[0]+" "+f[1])
		}
	}
	for _, rule := range slices.Concat(pathSubstitutions[:2], aliases, pathSubstitutions[2:]) {
		if !hasRule(lines, rule) {
			lines = append(lines, rule)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

func hasRule(lines []string, rule string) bool {
	return slices.ContainsFunc(lines, func(line string) bool {
		return slices.Equal(strings.Fields(line), strings.Fields(rule))
	})
}

// outdateCaches makes the compiled forms of file contexts look older than their
// sources: they are made for the tree's regular expression library, and the one
// of this machine, which labels the commit, may be another.
func (t *Tree) outdateCaches() error {
	caches, err := filepath.Glob(filepath.Join(t.Root, "etc/selinux/*/contexts/files/*.bin"))
	if err != nil {
		return err
	}
	for _, cache := range caches {
		if err := os.Chtimes(cache, time.Time{}, time.Unix(0, 0)); err != nil {
			return err
		}
	}
	return nil
}
