//go:build containers_image_openpgp

package work

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"go.podman.io/storage"
)

// containerPrefix begins the name of each container of ours in the store.
const containerPrefix = "nosa-"

// enter makes the directory of this piece of work and locks it. The lock ends
// with the process, however that ends.
func (s *store) enter() error {
	if err := os.MkdirAll(filepath.Join(s.root, "run"), 0o700); err != nil {
		return err
	}
	release, err := s.gate()
	if err != nil {
		return err
	}
	defer release()
	s.id = strings.ToLower(rand.Text()[:12])
	s.dir = filepath.Join(s.root, "run", s.id)
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return err
	}
	if s.lock, err = os.OpenFile(s.path("lock"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return err
	}
	return syscall.Flock(int(s.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// gate lets one process at a time come and clean, so that none takes a directory
// that is not locked yet for a dead one's.
func (s *store) gate() (release func(), err error) {
	f, err := os.OpenFile(filepath.Join(s.root, "run.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// sweep removes what processes that were killed have left: their mounts and
// children went with their namespaces, their files did not.
func (s *store) sweep() error {
	release, err := s.gate()
	if err != nil {
		return err
	}
	defer release()
	list, err := os.ReadDir(filepath.Join(s.root, "run"))
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.Name() == s.id {
			continue
		}
		if err := s.bury(e.Name()); err != nil {
			return fmt.Errorf("clean up after a killed run: %w", err)
		}
	}
	return nil
}

// bury removes one piece of work unless it lives.
func (s *store) bury(id string) error {
	dir := filepath.Join(s.root, "run", id)
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil // it lives
	}
	containers, err := s.Containers()
	if err != nil {
		return err
	}
	for _, c := range containers {
		for _, name := range c.Names {
			if strings.Contains(name, containerPrefix+id) {
				if err := s.DeleteContainer(c.ID); err != nil && !errors.Is(err, storage.ErrContainerUnknown) {
					return err
				}
				break
			}
		}
	}
	removeCgroups(id)
	return os.RemoveAll(dir)
}

// cgroup is the control group of a piece of work.
func cgroup(id string) string { return "/nosa/" + id }

// removeCgroups removes the empty groups of a piece of work, in the one
// hierarchy of version 2 or each of version 1.
func removeCgroups(id string) {
	for _, pattern := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		dirs, _ := filepath.Glob(pattern + cgroup(id))
		for _, dir := range dirs {
			_ = syscall.Rmdir(dir)
		}
	}
}
