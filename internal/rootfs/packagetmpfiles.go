package rootfs

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// packageTmpfiles is where the tmpfiles.d lines of each package lie, in a file
// PACKAGE.conf, before they become one file that systemd reads.
const packageTmpfiles = "usr/lib/rpm-ostree/tmpfiles.d"

// writePackageTmpfiles describes what packages bring below /var and /run, with
// the owners that they name. The content of files there is not carried over.
func (t *Tree) writePackageTmpfiles(files []packaged) error {
	lines := map[string][]string{}
	for _, f := range files {
		if line := f.tmpfilesLine(); line != "" {
			lines[f.pkg] = append(lines[f.pkg], line)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	dir := filepath.Join(t.Root, packageTmpfiles)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for pkg, list := range lines {
		if err := os.WriteFile(filepath.Join(dir, pkg+".conf"), []byte(strings.Join(list, "")), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// tmpfilesLine is the line that makes the file at boot; "" if none is needed.
func (f packaged) tmpfilesLine() string {
	const ghost = 1 << 6 // RPMFILE_GHOST: made by the package's program, not by rpm
	if f.flags&ghost != 0 || !transient(f.path) {
		return ""
	}
	path := escapeTmpfiles(strings.Replace(f.path, "/var/run/", "/run/", 1))
	switch f.mode & modeType {
	case modeLink:
		return fmt.Sprintf("L %s - - - - %s\n", path, strings.ReplaceAll(f.target, "%", "%%"))
	case modeDir:
		return fmt.Sprintf("d %s %04o %s %s - -\n", path, f.mode&0o7777, f.user, f.group)
	case modeFile:
		return fmt.Sprintf("f %s %04o %s %s - -\n", path, f.mode&0o7777, f.user, f.group)
	}
	return "" // devices and sockets are nothing that a package brings
}

// transient tells whether a path is below /var or /run and not moved below /usr
// by PlaceState or linked there.
func transient(path string) bool {
	if !strings.HasPrefix(path, "/var/") && !strings.HasPrefix(path, "/run/") {
		return false
	}
	elsewhere := []string{"/var/run", "/var/lock", "/var/lib/rpm", "/var/lib/selinux"}
	for _, name := range stateBelowUsr {
		elsewhere = append(elsewhere, "/var/lib/"+name)
	}
	return !slices.ContainsFunc(elsewhere, func(dir string) bool {
		return path == dir || dir != "/var/run" && strings.HasPrefix(path, dir+"/")
	})
}

// packageTmpfilesLines reads the lines of all packages by path; where two name
// one, that of the first package counts.
func (t *Tree) packageTmpfilesLines() (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(t.Root, packageTmpfiles, "*.conf"))
	if err != nil {
		return nil, err
	}
	byPath := map[string]string{}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if fields := strings.Fields(lines.Text()); len(fields) > 1 && byPath[fields[1]] == "" {
				byPath[fields[1]] = lines.Text() + "\n"
			}
		}
		f.Close()
		if err := lines.Err(); err != nil {
			return nil, err
		}
	}
	return byPath, nil
}
