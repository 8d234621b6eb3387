package job

import (
	"fmt"
	"os"
	"regexp"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/diag"
)

// Path is a file or a directory that an input names for a stage to read. A stage in a
// container sees it at the same path.
type Path struct {
	Input string
	Path  string // absolute, or relative to the workspace
	Dir   bool   // a directory, or else a file
}

// ReadPaths reads an input that is a list of files or of directories.
func ReadPaths(s *action.Step, input string, dir bool) []Path {
	var paths []Path
	for _, word := range s.List(input) {
		paths = append(paths, Path{Input: input, Path: word, Dir: dir})
	}
	return paths
}

var buildID = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._+~-]{0,127}$`)

// ReadBuildID reads the id of a build, which may be empty.
func ReadBuildID(s *action.Step, input string) string {
	id := s.Input(input)
	if id != "" && !buildID.MatchString(id) {
		s.Wrong(input, fmt.Sprintf("is %q", id), "write the id of a build, such as 12.20250114.0")
	}
	return id
}

// Inside is the absolute form of a path that may be relative to the workspace.
func (j *Job) Inside(path string) string { return inside(j.workspace, path) }

// paths are all that inputs name but the config.
func (in Inputs) paths() []Path {
	if in.YumRepos == "" {
		return in.Paths
	}
	return append([]Path{{Input: "yumrepos", Path: in.YumRepos, Dir: true}}, in.Paths...)
}

// checkPaths tells of all paths that are not there, before anything runs.
func (j *Job) checkPaths(paths []Path) error {
	var found diag.List
	for _, p := range paths {
		what := "file"
		if p.Dir {
			what = "directory"
		}
		if info, err := os.Stat(j.Inside(p.Path)); err == nil && (p.Dir && info.IsDir() || !p.Dir && info.Mode().IsRegular()) {
			continue
		}
		found.Add(diag.Finding{
			Message: fmt.Sprintf("input %s: there is no %s %q in the workspace", p.Input, what, p.Path),
			Mend:    "make it in an earlier step of this job, or leave the input empty",
		})
	}
	return found.Err()
}
