package disk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/format/ostreerepo"
	"github.com/nestos/nosa-actions/internal/tool"
)

// alephFile tells, on the physical root, what the machine was installed from.
const alephFile = ".nestos-aleph-version.json"

// kargsMark stands in the boot entry for the kernel arguments, which differ
// from image to image.
const kargsMark = "nosa.kernel-arguments"

// whileDeploying are options of the root's repository for as long as it is filled:
// what is in it are links to files that are there, and room for images is looked
// for apart.
var whileDeploying = []ostreerepo.Option{{Section: "core", Key: "fsync", Value: "false"}, {Section: "core", Key: "min-free-space-percent", Value: "0"}}

// ostree runs ostree on the root. The scratch directory is thrown away: no
// flushing, and no immutable flag, which could not be removed; images get it.
func (s *Sysroot) ostree(ctx context.Context, args ...string) error {
	_, err := s.run.Run(ctx, tool.Cmd{Name: "ostree", Args: args, Env: []string{
		"OSTREE_SYSROOT_OPTS=skip-sync", "OSTREE_SYSROOT_DEBUG=mutable-deployments",
	}})
	return err
}

// deploy makes the physical root, with its /boot moved out of it.
func (s *Sysroot) deploy(ctx context.Context) error {
	s.Path = filepath.Join(s.Scratch, "sysroot")
	err := s.deployBy(ctx, s.linkAndDeploy)
	if errors.Is(err, errCannotLink) || errors.Is(err, unix.EMLINK) || errors.Is(err, unix.EXDEV) {
		// ostree copies what cannot be linked.
		if err := os.RemoveAll(s.Path); err != nil {
			return err
		}
		err = s.deployBy(ctx, s.pullAndDeploy)
	}
	if err != nil {
		return err
	}
	s.Deployment = filepath.Join(s.Path, "ostree/deploy", s.Stateroot, "deploy", s.Commit+".0")
	if _, err := os.Stat(filepath.Join(s.Deployment, "usr")); err != nil {
		return fmt.Errorf("the deployment is not where it should be: %w", err)
	}
	return s.moveBoot()
}

// deployBy makes the physical root, into which populate brings the commit.
func (s *Sysroot) deployBy(ctx context.Context, populate func(context.Context) error) error {
	if err := os.Mkdir(s.Path, 0o755); err != nil {
		return err
	}
	if err := s.ostree(ctx, "admin", "init-fs", "--modern", s.Path); err != nil {
		return fmt.Errorf("initialising the root: %w", err)
	}
	if err := ostreerepo.Configure(s.repo(), whileDeploying...); err != nil {
		return fmt.Errorf("configuring the root: %w", err)
	}
	if err := s.ostree(ctx, "admin", "os-init", "--sysroot="+s.Path, s.Stateroot); err != nil {
		return fmt.Errorf("initialising stateroot %s: %w", s.Stateroot, err)
	}
	if err := prepareSyslinuxMenu(s.Path); err != nil {
		return fmt.Errorf("preparing the boot menu: %w", err)
	}
	return populate(ctx)
}

// repo is the repository of the root.
func (s *Sysroot) repo() string { return filepath.Join(s.Path, "ostree/repo") }

// errCannotLink means that objects cannot be linked from one repository to another.
var errCannotLink = errors.New("objects cannot be linked")

// linkAndDeploy links the commit's objects and deploys it at once: until they are
// there, ostree finds them in the repository that they come from.
func (s *Sysroot) linkAndDeploy(ctx context.Context) error {
	from, err := ostreerepo.Open(s.Repo)
	if err != nil {
		return err
	}
	to, err := ostreerepo.Open(s.repo())
	if err != nil {
		return err
	}
	if !to.CanLink(from) {
		return errCannotLink
	}
	sum, err := ostreerepo.ParseChecksum(s.Commit)
	if err != nil {
		return err
	}
	parent, err := filepath.Abs(s.Repo)
	if err != nil {
		return err
	}
	borrow := ostreerepo.Option{Section: "core", Key: "parent", Value: parent}
	if err := ostreerepo.Configure(s.repo(), borrow); err != nil {
		return err
	}
	group, both := errgroup.WithContext(ctx)
	group.Go(func() error {
		w, err := to.NewWriter(both)
		if err != nil {
			return err
		}
		err = w.LinkCommit(both, from, sum, 2)
		if err := errors.Join(err, w.Close()); err != nil {
			return fmt.Errorf("linking commit %s from %s: %w", s.Commit, s.Repo, err)
		}
		return nil
	})
	group.Go(func() error { return s.checkOut(both) })
	if err := group.Wait(); err != nil {
		return err
	}
	borrow.Value = ""
	return ostreerepo.Configure(s.repo(), borrow)
}

// pullAndDeploy does the same one after the other, from a repository of any mode.
func (s *Sysroot) pullAndDeploy(ctx context.Context) error {
	if err := s.ostree(ctx, "pull-local", "--repo="+s.repo(), "--disable-fsync", s.Repo, s.Commit); err != nil {
		return fmt.Errorf("pulling commit %s from %s: %w", s.Commit, s.Repo, err)
	}
	return s.checkOut(ctx)
}

// checkOut deploys the commit.
func (s *Sysroot) checkOut(ctx context.Context) error {
	target := s.Commit
	if s.Config.OSTreeRemote != "" {
		target = s.Config.OSTreeRemote + ":" + s.Ref
		if err := s.ostree(ctx, "refs", "--repo="+s.repo(), "--create="+target, s.Commit); err != nil {
			return fmt.Errorf("naming the commit %s: %w", target, err)
		}
	}
	err := s.ostree(ctx, "admin", "deploy", "--sysroot="+s.Path, "--os="+s.Stateroot, "--no-merge", "--no-prune", "--karg-append="+kargsMark, target)
	if err != nil {
		return fmt.Errorf("deploying %s: %w", target, err)
	}
	return nil
}

// moveBoot takes what ostree put into /boot out of the root, which keeps an
// empty mount point.
func (s *Sysroot) moveBoot() error {
	s.Boot = filepath.Join(s.Scratch, "boot")
	mountPoint := filepath.Join(s.Path, "boot")
	if err := os.Rename(mountPoint, s.Boot); err != nil {
		return err
	}
	return makeDir(mountPoint, 0o755)
}

// makeDir makes a directory with a mode, whatever the umask.
func makeDir(path string, mode os.FileMode) error {
	if err := os.Mkdir(path, mode); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// aleph is the content of alephFile; the order of the keys is part of it.
type aleph struct {
	Build   string `json:"build"`
	Ref     string `json:"ref"`
	Commit  string `json:"ostree-commit"`
	ImageID string `json:"imgid"`
}

func (b *builder) writeAleph(path string) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "\t")
	if err := enc.Encode(aleph{Build: b.BuildID, Ref: b.Ref, Commit: b.Commit, ImageID: b.plan.FileName}); err != nil {
		return err
	}
	return os.WriteFile(path, text.Bytes(), 0o644)
}

// measure counts the objects of the repository, which is bare and holds one
// commit alone, so that all of its objects are reachable from it.
func (s *Sysroot) measure() error {
	return filepath.WalkDir(filepath.Join(s.Path, "ostree/repo/objects"), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			s.content.Add(info.Size())
		}
		return err
	})
}
