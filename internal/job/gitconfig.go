package job

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/nestos/nosa-actions/internal/assembler/container"
)

// public are the settings of a repository that tell how to read it and where it
// is from; any other may hold a token, as extraheader, insteadOf and credential do.
// actions/checkout leaves the job's there unless it is told not to.
var public = map[string][]string{
	"core":       {"repositoryformatversion", "filemode", "bare", "symlinks", "ignorecase", "worktree", "logallrefupdates", "sparsecheckout"},
	"extensions": {"objectformat", "partialclone", "worktreeconfig", "refstorage", "preciousobjects"},
	"remote":     {"url", "pushurl", "fetch", "promisor", "partialclonefilter"},
	"branch":     {"remote", "merge"},
	"submodule":  {"url", "active", "path", "branch"},
}

var (
	section = regexp.MustCompile(`^\s*\[\s*([A-Za-z0-9-]+)(\s+"[^"\\]*")?\s*\]`)
	setting = regexp.MustCompile(`^\s*([A-Za-z][A-Za-z0-9-]*)\s*=\s*([^"\\]*)$`)
	account = regexp.MustCompile(`^([a-z+]+://)[^/]*@`)
)

// withoutTokens lays copies without tokens over the git configurations of a
// repository, of its submodules too.
func (j *Job) withoutTokens(repository string) ([]container.Mount, error) {
	var mounts []container.Mount
	err := filepath.WalkDir(filepath.Join(repository, ".git"), func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR): // no repository, or a file
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

// withoutSecrets keeps of a configuration what is public and written plainly.
func withoutSecrets(config string) string {
	var b strings.Builder
	var keys []string
	for line := range strings.Lines(config) {
		if match := section.FindStringSubmatch(line); match != nil {
			if keys = public[strings.ToLower(match[1])]; keys != nil {
				b.WriteString(match[0] + "\n")
			}
			continue
		}
		match := setting.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if match != nil && slices.Contains(keys, strings.ToLower(match[1])) {
			b.WriteString("\t" + match[1] + " = " + account.ReplaceAllString(match[2], "$1") + "\n")
		}
	}
	return b.String()
}
