package job

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/nestos/nosa-actions/internal/assembler/container"
)

// secretLine is a line of a git configuration that holds a token: actions/checkout
// leaves the job's there unless it is told not to persist credentials.
var secretLine = regexp.MustCompile(`(?i)^\s*(extraheader\s*=|(push)?url\s*=\s*[a-z+]+://[^/@]*:[^/@]*@|helper\s*=|password\s*=)`)

// withoutTokens lays copies without tokens over the git configurations of a
// repository, of its submodules too.
func (j *Job) withoutTokens(repository string) ([]container.Mount, error) {
	var mounts []container.Mount
	err := filepath.WalkDir(filepath.Join(repository, ".git"), func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "objects" || d.Name() == "refs"):
			return filepath.SkipDir
		case d.Name() != "config" || !d.Type().IsRegular():
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		clean := withoutSecrets(string(text))
		if clean == string(text) {
			return nil
		}
		dir, err := j.Fresh(fmt.Sprintf("nosa-git-%d", len(mounts)))
		if err != nil {
			return err
		}
		file := filepath.Join(dir, "config")
		mounts = append(mounts, container.Mount{Source: file, Target: path, ReadOnly: true})
		return os.WriteFile(file, []byte(clean), 0o644)
	})
	return mounts, err
}

func withoutSecrets(config string) string {
	var b strings.Builder
	for line := range strings.Lines(config) {
		if !secretLine.MatchString(line) {
			b.WriteString(line)
		}
	}
	return b.String()
}
