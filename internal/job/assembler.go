package job

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/assembler"
	"github.com/nestos/nosa-actions/internal/assembler/container"
	"github.com/nestos/nosa-actions/internal/assembler/container/buildah"
	"github.com/nestos/nosa-actions/internal/assembler/container/podman"
	"github.com/nestos/nosa-actions/internal/tool"
)

// onHost is the assembler that is no container.
const onHost = "host"

// readAssembler reads where stages run.
func readAssembler(s *action.Step) (image, engine string) {
	image, engine = s.Input("assembler"), s.Input("engine")
	if image != "" && image != onHost {
		if _, err := container.ParseReference(image); err != nil {
			s.Wrong("assembler", "is "+err.Error(), "write host, an image with its registry and a tag or digest, oci-archive:PATH or oci:PATH")
		}
	}
	if engine != "" && engine != "buildah" && engine != "podman" {
		s.Wrong("engine", "is "+engine, "write buildah or podman")
	}
	return image, engine
}

// assembler makes what runs the stages; the programs that it needs lie in bin.
func (j *Job) assembler(in Inputs, bin string) (assembler.Assembler, error) {
	log := func(line string) { j.Step.Log("%s", line) }
	if in.Assembler == "" || in.Assembler == onHost {
		return assembler.Host{Runner: tool.Host{}, Binary: filepath.Join(bin, "nosa"), Workdir: j.Workdir, Log: log}, nil
	}
	ref, err := container.ParseReference(in.Assembler)
	if err != nil {
		return nil, err
	}
	if ref.Transport != container.Registry {
		ref.Name = inside(j.workspace, pathOf(in.Assembler, ref))
	}
	c := &assembler.Container{Image: ref, Workdir: j.Workdir, Log: log}
	init := filepath.Join(bin, "nosa-init")
	if in.Engine == "podman" {
		c.Engine = &podman.Engine{Runner: tool.Host{}, Init: init, Log: os.Stderr}
	} else {
		c.Engine = &buildah.Engine{
			Runner: tool.Host{}, Program: filepath.Join(bin, "nosa-container"), Init: init, Log: os.Stderr, Login: login(os.Getenv),
			Root: os.Getenv("NOSA_CONTAINERS"),
		}
	}
	if c.Show, err = j.visible(in); err != nil {
		return nil, err
	}
	for _, dir := range c.Show {
		mounts, err := j.withoutTokens(dir)
		if err != nil {
			return nil, err
		}
		c.Mounts = append(c.Mounts, mounts...)
	}
	return c, nil
}

// pathOf is the path of an image as it was written: relative to the workspace.
func pathOf(input string, ref container.Reference) string {
	path := strings.TrimPrefix(input, string(ref.Transport)+":")
	path, _, _ = strings.Cut(path, "@")
	return strings.TrimSuffix(path, ":"+ref.Tag)
}

// login is a login to the image's registry for jobs that have none of docker or
// podman.
func login(getenv func(string) string) *buildah.Login {
	if getenv("NOSA_REGISTRY_USER") == "" {
		return nil
	}
	return &buildah.Login{User: getenv("NOSA_REGISTRY_USER"), Password: getenv("NOSA_REGISTRY_PASSWORD")}
}

// visible are the parts of the runner's disk that stages read: the config with
// its repository, the .repo files, what other inputs name, and the package
// repositories that .repo files name by path, as far as they lie in the workspace. A
// config cannot ask for others.
func (j *Job) visible(in Inputs) ([]string, error) {
	dirs := []string{j.Config}
	if in.YumRepos != "" {
		dirs = append(dirs, inside(j.workspace, in.YumRepos))
	}
	var show []string
	for _, path := range in.Paths {
		show = append(show, j.Inside(path.Path))
	}
	for _, dir := range dirs {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return nil, err
		}
		local, err := localRepositories(real)
		if err != nil {
			return nil, err
		}
		show = append(show, dir, checkout(real))
		for _, path := range local {
			if path, err := filepath.EvalSymlinks(path); err == nil && below(j.workspace, path) {
				show = append(show, path)
			}
		}
	}
	slices.Sort(show)
	show = slices.Compact(show)
	return slices.DeleteFunc(show, func(path string) bool { return below(j.Workdir, path) }), nil
}

// checkout is the repository that a directory lies in, or the directory.
func checkout(dir string) string {
	for d := dir; d != "/"; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, ".git")); err == nil {
			return d
		}
	}
	return dir
}

func below(dir, path string) bool {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// localRepositories are the paths of package repositories on this machine that
// the .repo files of a directory name.
func localRepositories(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.repo"))
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, word := range strings.FieldsFunc(string(text), func(r rune) bool { return strings.ContainsRune(" \t\r\n=,", r) }) {
			if path, ok := strings.CutPrefix(word, "file://"); ok && filepath.IsAbs(path) {
				paths = append(paths, path)
			}
		}
	}
	return paths, nil
}
