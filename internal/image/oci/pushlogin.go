package oci

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// login is what is known about credentials for one repository.
type login struct {
	auth authn.Authenticator
	file string // that was read; empty: none is there
	key  string // entry of the file that was taken; empty: none fits
}

// findLogin looks up the credentials for a repository in the file, or where that
// is empty in the first that exists of those that skopeo would read.
func findLogin(file string, repo name.Repository) (login, error) {
	none := login{auth: authn.Anonymous}
	candidates := []string{file}
	if file == "" {
		candidates = authFiles()
	}
	for _, candidate := range candidates {
		data, err := os.Open(candidate)
		if file == "" && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return none, fmt.Errorf("reading credentials: %w", err)
		}
		defer data.Close()
		cf, err := config.LoadFromReader(data)
		if err != nil {
			return none, fmt.Errorf("reading credentials: %s is not what podman login or docker login write: %w", candidate, err)
		}
		l, err := pick(cf, repo)
		l.file = candidate
		return l, err
	}
	return none, nil
}

// authFiles are the usual places, the most particular first.
func authFiles() (files []string) {
	add := func(dir string, more ...string) {
		if dir != "" {
			files = append(files, filepath.Join(append([]string{dir}, more...)...))
		}
	}
	home, _ := os.UserHomeDir()
	add(os.Getenv("REGISTRY_AUTH_FILE"))
	add(os.Getenv("XDG_RUNTIME_DIR"), "containers", "auth.json")
	if os.Getenv("XDG_RUNTIME_DIR") == "" {
		add(fmt.Sprintf("/run/containers/%d/auth.json", os.Getuid()))
	}
	add(home, ".config", "containers", "auth.json")
	add(os.Getenv("DOCKER_CONFIG"), "config.json")
	add(home, ".docker", "config.json")
	return files
}

// pick takes the entry for the repository, for one of the namespaces that it is
// in, or for the registry, in this order.
func pick(cf *configfile.ConfigFile, repo name.Repository) (login, error) {
	for _, key := range loginKeys(repo) {
		entry, err := cf.GetAuthConfig(key)
		if err != nil {
			return login{auth: authn.Anonymous}, fmt.Errorf("asking the credential helper for %s: %w", key, err)
		}
		entry.ServerAddress = ""
		if entry == (types.AuthConfig{}) {
			continue
		}
		return login{key: key, auth: authn.FromConfig(authn.AuthConfig{
			Username: entry.Username, Password: entry.Password, Auth: entry.Auth,
			IdentityToken: entry.IdentityToken, RegistryToken: entry.RegistryToken,
		})}, nil
	}
	return login{auth: authn.Anonymous}, nil
}

func loginKeys(repo name.Repository) (keys []string) {
	for key := repo.Name(); key != repo.RegistryStr(); key = path.Dir(key) {
		keys = append(keys, key)
	}
	keys = append(keys, repo.RegistryStr())
	if repo.RegistryStr() == name.DefaultRegistry {
		keys = append(keys, authn.DefaultAuthKey, "docker.io")
	}
	return keys
}
