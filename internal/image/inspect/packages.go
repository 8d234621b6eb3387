package inspect

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/ostree"
	"github.com/nestos/nosa-actions/internal/tool"
)

// rpmDatabases are where the package database of a tree is: openEuler's and
// rpm-ostree's, and rpm's newer default.
var rpmDatabases = []string{"/usr/share/rpm", "/usr/lib/sysimage/rpm"}

// packages reads the package database, and holds it against the list that the
// commit was made with.
func (i *inspector) packages(root, tree files) {
	commit := i.commit(root)
	var listed []string
	if commit != nil {
		i.img.Deployment.Version = commit.Version
		i.img.Deployment.Timestamp = commit.Timestamp.UTC().Format(time.RFC3339)
		if v := i.img.OSRelease["OSTREE_VERSION"]; v != "" && v != commit.Version {
			i.bad("deployment:/usr/lib/os-release", "OSTREE_VERSION is %q, the commit's version is %q", v, commit.Version)
		}
		if i.want.Build != "" && !strings.HasPrefix(i.want.Build, commit.Version) {
			i.bad("root:/ostree/repo", "the commit's version is %q, the build is %s", commit.Version, i.want.Build)
		}
		for _, p := range commit.Packages() {
			evr := p.Version + "-" + p.Release
			if p.Epoch != "" && p.Epoch != "0" {
				evr = p.Epoch + ":" + evr
			}
			listed = append(listed, p.Name+"-"+evr+"."+p.Arch)
		}
		slices.Sort(listed)
	}
	i.img.Packages = listed
	i.content(root, tree, commit)
	for _, dir := range rpmDatabases {
		if !tree.has(dir + "/rpmdb.sqlite") {
			continue
		}
		installed, err := i.query(tree, dir)
		if err != nil {
			i.bad("deployment:"+dir+"/rpmdb.sqlite", "%v", err)
			return
		}
		if installed == nil {
			return
		}
		i.img.Packages = installed
		i.judgePackages("deployment:"+dir+"/rpmdb.sqlite", installed, listed)
		return
	}
	if len(listed) > 0 {
		i.bad("deployment:"+rpmDatabases[0], "there is no package database; the commit lists %d packages", len(listed))
	}
}

func (i *inspector) judgePackages(where string, installed, listed []string) {
	if listed == nil {
		return
	}
	for n, name := range without(listed, installed) {
		if n == maxNamed {
			break
		}
		i.bad(where, "does not have %s, which the commit lists", name)
	}
	for n, name := range without(installed, listed) {
		if n == maxNamed {
			break
		}
		i.bad(where, "has %s, which the commit does not list", name)
	}
}

// without are the words of a list that are not in another, which is ordered.
func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(name string) bool {
		_, found := slices.BinarySearch(other, name)
		return found
	})
}

// maxDatabase bounds a package database, in bytes; large systems have a tenth.
const maxDatabase = 1 << 30

// query lists the packages of a database by rpm, out of a copy. The list is nil
// where rpm cannot run here.
func (i *inspector) query(tree files, dir string) ([]string, error) {
	if err := tool.Need("rpm", "bwrap"); err != nil {
		i.odd("deployment:"+dir, "the package database was not read: %v", err)
		return nil, nil
	}
	scratch := i.o.Scratch
	if scratch == "" {
		scratch = os.TempDir()
	}
	copied, err := os.MkdirTemp(scratch, "nosa-inspect-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(copied) //nolint:errcheck // below a scratch directory
	err = tree.stream(dir+"/rpmdb.sqlite", func(i info, in io.Reader) error {
		if i.Size > maxDatabase {
			return fmt.Errorf("has %d bytes, which is too many for a package database", i.Size)
		}
		out, err := os.Create(filepath.Join(copied, "rpmdb.sqlite"))
		if err != nil {
			return err
		}
		defer out.Close()
		_, err = io.Copy(out, in)
		return errors.Join(err, out.Close())
	})
	if err != nil {
		return nil, errors.New(plainError(err))
	}
	out, err := i.run.Run(i.ctx, tool.Cmd{Name: "bwrap", Args: append(cage(copied), "rpm",
		"--dbpath="+cagedDatabase, "--define=_db_backend sqlite", "-qa", "--qf", `%{NAME}-%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}.%{ARCH}\n`,
	)})
	if failed, is := errors.AsType[*tool.Error](err); is && strings.HasPrefix(failed.Stderr, "bwrap: ") {
		i.odd("deployment:"+dir, "the package database was not read: no sandbox can be made for rpm: %s", failed.Stderr)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("rpm cannot read it: %w", err)
	}
	list := strings.Fields(string(out))
	for n, name := range list {
		list[n] = strings.Replace(name, "-0:", "-", 1)
	}
	list = slices.DeleteFunc(list, func(name string) bool { return strings.HasPrefix(name, "gpg-pubkey-") })
	slices.Sort(list)
	if len(list) == 0 {
		return nil, errors.New("has no packages")
	}
	return list, nil
}

// cagedDatabase is where rpm finds the copy.
const cagedDatabase = "/run/rpmdb"

// cage are bubblewrap's arguments for a program that reads what a stranger may have
// made: nobody in namespaces of its own, without a network, of the machine's files
// nothing but programs and their configuration, and nothing to write to but the copy,
// where SQLite keeps its journal.
func cage(database string) []string {
	args := []string{"--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534", "--die-with-parent", "--new-session", "--clearenv",
		"--setenv", "PATH", "/usr/bin:/bin:/usr/sbin:/sbin", "--setenv", "HOME", "/", "--setenv", "LC_ALL", "C.UTF-8",
		"--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run"}
	for _, dir := range []string{"/bin", "/sbin", "/lib", "/lib64", "/etc/rpm", "/etc/ld.so.cache", "/etc/alternatives"} {
		args = append(args, "--ro-bind-try", dir, dir)
	}
	return append(args, "--bind", database, cagedDatabase, "--chdir", "/")
}

// commit reads the commit object of the deployment; nil where it cannot be read.
func (i *inspector) commit(root files) *ostree.Commit {
	sum := i.img.Deployment.Commit
	if len(sum) != 64 {
		i.bad("root:/ostree/deploy", "the name of the deployment is no checksum: %q", sum)
		return nil
	}
	at := "/ostree/repo/objects/" + sum[:2] + "/" + sum[2:] + ".commit"
	text, err := root.text(at)
	if err != nil {
		i.bad("root:"+at, "the commit object: %s", plainError(err))
		return nil
	}
	c, err := ostree.ParseCommit(text)
	if err != nil {
		i.bad("root:"+at, "the commit object cannot be read: %v", err)
		return nil
	}
	if c.Checksum != sum {
		i.bad("root:"+at, "the commit object is damaged: it has the checksum %s", c.Checksum)
		return nil
	}
	return c
}
