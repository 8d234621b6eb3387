package workdir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// errClaimed says that an artifact is being made elsewhere at this moment.
var errClaimed = errors.New("another process is building it")

var artifactName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)

// checkArtifact refuses names that cannot stand in a file name.
func checkArtifact(name string) error {
	if !artifactName.MatchString(name) {
		return fmt.Errorf("%q is not the name of an artifact", name)
	}
	return nil
}

// Claim marks the artifact as being made by this process, with the file
// .ARTIFACT.building in the build's directory, until release is called. If
// another process has it, that is an error. The file is held by a lock
// that dies with its holder, so one left by a killed process is taken over.
func (b Build) Claim(artifact string) (release func(), err error) {
	if err := checkArtifact(artifact); err != nil {
		return nil, err
	}
	path := filepath.Join(b.Dir, "."+artifact+".building")
	for {
		f, err := openLock(path)
		if err != nil {
			return nil, err
		}
		if err := flock(f, unix.LOCK_EX|unix.LOCK_NB); err != nil {
			holder, _ := os.ReadFile(path)
			f.Close()
			if errors.Is(err, errHeld) {
				return nil, claimed(b, artifact, strings.TrimSpace(string(holder)))
			}
			return nil, err
		}
		// The former holder may have removed the file between our open and our
		// lock; then the lock is of no use, since others see a new file.
		if !sameFile(f, path) {
			f.Close()
			continue
		}
		if err := f.Truncate(0); err == nil {
			_, _ = fmt.Fprintf(f, "%d\n", os.Getpid()) // for the other's message only
		}
		return func() {
			_ = os.Remove(path)
			f.Close()
		}, nil
	}
}

func claimed(b Build, artifact, holder string) error {
	if holder == "" {
		return fmt.Errorf("%s of build %s: %w", artifact, b.ID, errClaimed)
	}
	return fmt.Errorf("%s of build %s: %w (process %s)", artifact, b.ID, errClaimed, holder)
}

func sameFile(f *os.File, path string) bool {
	ours, err := f.Stat()
	if err != nil {
		return false
	}
	theirs, err := os.Stat(path)
	return err == nil && os.SameFile(ours, theirs)
}
