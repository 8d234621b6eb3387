package rootfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// FinalOptions shape the finished tree.
type FinalOptions struct {
	TmpIsDir        bool // /tmp is a directory, else a link to sysroot/tmp
	MachineIDCompat bool // an empty /etc/machine-id, else none
	EtcGroupMembers []string
	OptUsrlocal     string // OptVar, OptRoot or OptStateOverlay; empty: OptVar
	RefuseDevices   bool   // device nodes are an error, else dropped
}

// Finalize turns an assembled tree into one that OSTree can deploy: /etc becomes
// the defaults in /usr/etc, /var is emptied with tmpfiles.d lines that make it
// again, users move below /usr, and the top level gets the links into /var. Of a
// tree that was finalized before, which a layer may bring, only the top level is
// made.
func (t *Tree) Finalize(o FinalOptions) error {
	steps := []step{
		{"users", func() error { return t.splitUsers(o.EtcGroupMembers) }},
		{"machine id", func() error { return t.machineID(o.MachineIDCompat) }},
		{"useradd", t.setHome},
		{"SELinux paths", t.substitutePaths},
		{"state of /var", t.PlaceState},
		{"devices", func() error { return t.dropDevices(o.RefuseDevices) }},
		{"clean", t.clean},
		{"opt and usr/local", func() error { return t.optUsrlocal(o) }},
		{"tmpfiles", func() error { return t.writeTmpfiles(o) }},
		{"rpm database", t.placeDatabase},
	}
	if t.has("/usr/lib/tmpfiles.d/" + integrationFile) {
		steps = nil
	}
	steps = append(steps,
		step{"etc", t.moveEtc},
		step{"opt", func() error { return t.placeOpt(o) }},
		step{"top level", func() error { return t.skeleton(o) }},
	)
	for _, s := range steps {
		if err := s.do(); err != nil {
			return fmt.Errorf("finalize the tree: %s: %w", s.name, err)
		}
	}
	return nil
}

type step struct {
	name string
	do   func() error
}

// moveEtc makes the configuration of the assembled tree the defaults that
// deployments start from.
func (t *Tree) moveEtc() error {
	return os.Rename(filepath.Join(t.Root, "etc"), filepath.Join(t.Root, "usr/etc"))
}

// optUsrlocal prepares what state overlays need before /opt is looked at for
// tmpfiles.d lines: there, a link of the top level leads below /usr.
func (t *Tree) optUsrlocal(o FinalOptions) error {
	if o.OptUsrlocal != OptStateOverlay {
		return nil
	}
	if err := t.placeOpt(o); err != nil {
		return err
	}
	return t.enableStateOverlays()
}

func (t *Tree) machineID(compat bool) error {
	path := filepath.Join(t.Root, "etc/machine-id")
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	if !compat {
		return nil
	}
	return replaceFile(path, nil, 0o444)
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
	return replaceFile(path, []byte(b.String()), info.Mode().Perm())
}
