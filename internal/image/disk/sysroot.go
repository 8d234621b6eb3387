package disk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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
var whileDeploying = [][2]string{{"core.fsync", "false"}, {"core.min-free-space-percent", "0"}}

// deploy makes the physical root, with its /boot moved out of it.
func (s *Sysroot) deploy(ctx context.Context) error {
	s.Path = filepath.Join(s.Scratch, "sysroot")
	repo := filepath.Join(s.Path, "ostree/repo")
	ostree := func(args ...string) error {
		_, err := s.run.Run(ctx, tool.Cmd{Name: "ostree", Args: args, Env: []string{
			// The scratch directory is thrown away: no flushing, and no
			// immutable flag, which could not be removed; images get it.
			"OSTREE_SYSROOT_OPTS=skip-sync", "OSTREE_SYSROOT_DEBUG=mutable-deployments",
		}})
		return err
	}
	if err := os.Mkdir(s.Path, 0o755); err != nil {
		return err
	}
	if err := ostree("admin", "init-fs", "--modern", s.Path); err != nil {
		return fmt.Errorf("initialising the root: %w", err)
	}
	for _, option := range whileDeploying {
		if err := ostree("config", "--repo="+repo, "set", option[0], option[1]); err != nil {
			return fmt.Errorf("configuring the root: %w", err)
		}
	}
	if err := ostree("admin", "os-init", "--sysroot="+s.Path, s.Stateroot); err != nil {
		return fmt.Errorf("initialising stateroot %s: %w", s.Stateroot, err)
	}
	if err := ostree("pull-local", "--repo="+repo, "--disable-fsync", s.Repo, s.Commit); err != nil {
		return fmt.Errorf("pulling commit %s from %s: %w", s.Commit, s.Repo, err)
	}
	target := s.Commit
	if s.Config.OSTreeRemote != "" {
		target = s.Config.OSTreeRemote + ":" + s.Ref
		if err := ostree("refs", "--repo="+repo, "--create="+target, s.Commit); err != nil {
			return fmt.Errorf("naming the commit %s: %w", target, err)
		}
	}
	if err := prepareSyslinuxMenu(s.Path); err != nil {
		return fmt.Errorf("preparing the boot menu: %w", err)
	}
	err := ostree("admin", "deploy", "--sysroot="+s.Path, "--os="+s.Stateroot, "--no-merge", "--karg-append="+kargsMark, target)
	if err != nil {
		return fmt.Errorf("deploying %s: %w", target, err)
	}
	s.Deployment = filepath.Join(s.Path, "ostree/deploy", s.Stateroot, "deploy", s.Commit+".0")
	if _, err := os.Stat(filepath.Join(s.Deployment, "usr")); err != nil {
		return fmt.Errorf("the deployment is not where it should be: %w", err)
	}
	return s.moveBoot()
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
