//go:build containers_image_openpgp

package work

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.podman.io/image/v5/types"
	"go.podman.io/storage"

	engine "github.com/nestos/nosa-actions/internal/assembler/container/buildah"
)

// store is the images of one root, opened for one piece of work. What belongs
// to the work alone lies in dir, whose lock tells the living from the dead.
type store struct {
	storage.Store
	root string
	id   string   // of this piece of work
	dir  string   // ROOT/run/ID
	lock *os.File // of dir
	sys  *types.SystemContext
}

// open opens the store, after removing what killed processes have left in it.
func open(r engine.Request) (*store, error) {
	s := &store{root: r.Root}
	if err := s.enter(); err != nil {
		return nil, err
	}
	if err := s.configure(r); err != nil {
		return nil, err
	}
	var err error
	s.Store, err = storage.GetStore(storage.StoreOptions{
		RunRoot: s.path("run"), GraphRoot: filepath.Join(s.root, "graph"), GraphDriverName: driverOf(r),
	})
	if err != nil {
		return nil, fmt.Errorf("open the images in %s (NOSA_STORAGE_DRIVER=vfs works on any file system): %w", s.root, err)
	}
	return s, s.sweep()
}

// close leaves nothing but the images.
func (s *store) close() error {
	_, err := s.Shutdown(true)
	_ = os.Chdir("/")
	return errors.Join(err, os.RemoveAll(s.dir), s.lock.Close())
}

func (s *store) path(name string) string { return filepath.Join(s.dir, name) }

// configure keeps the machine's own container configuration out: what a stage
// does must not depend on it.
func (s *store) configure(r engine.Request) error {
	files := map[string]string{
		"policy.json":     `{"default":[{"type":"insecureAcceptAnything"}]}`,
		"registries.conf": "unqualified-search-registries = []\n",
		"containers.conf": "",
		"storage.conf":    "[storage]\ndriver = \"" + driverOf(r) + "\"\n",
		"d/.none":         "",
		"tmp/.none":       "",
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(s.path(name)), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	for name, value := range map[string]string{
		"CONTAINERS_CONF": s.path("containers.conf"), "CONTAINERS_STORAGE_CONF": s.path("storage.conf"), "TMPDIR": s.path("tmp"),
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	s.sys = &types.SystemContext{
		SignaturePolicyPath:         s.path("policy.json"),
		SystemRegistriesConfPath:    s.path("registries.conf"),
		SystemRegistriesConfDirPath: s.path("d"),
		RegistriesDirPath:           s.path("d"),
		BlobInfoCacheDir:            s.root,
		BigFilesTemporaryDir:        s.path("tmp"),
		AuthFilePath:                os.Getenv("REGISTRY_AUTH_FILE"),
	}
	if r.HTTP {
		s.sys.DockerInsecureSkipTLSVerify = types.OptionalBoolTrue
	}
	if r.Login != nil {
		s.sys.DockerAuthConfig = &types.DockerAuthConfig{Username: r.Login.User, Password: r.Login.Password}
	}
	return nil
}

// driverOf is the storage driver. Overlay is the fast one; on file systems that
// it cannot lie on, such as another overlay, vfs does.
func driverOf(r engine.Request) string {
	if r.Driver != "" {
		return r.Driver
	}
	return "overlay"
}
