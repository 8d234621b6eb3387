package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/tool"
)

// stampName is the file in the repository that says what it was made of.
const stampName = ".rpmpool"

// publish makes the repository beside its final place and exchanges the two, so
// that a run which is killed leaves the old one whole.
func (b builder) publish(ctx context.Context, rpms []rpm) error {
	stamp := stampOf(rpms)
	if old, err := os.ReadFile(filepath.Join(b.Output, stampName)); err == nil && string(old) == stamp {
		b.log.Notef("repository %s is up to date", b.Output)
		return nil
	}
	step := b.log.Step("make repository")
	defer step.Stop()
	if err := ownDirectory(b.Output); err != nil {
		return err
	}
	next := b.Output + ".new"
	if err := os.RemoveAll(next); err != nil {
		return err
	}
	if err := os.MkdirAll(next, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(next) // the half-made one, or the old one after the exchange
	for _, rpm := range rpms {
		if err := place(rpm.path, filepath.Join(next, rpm.name)); err != nil {
			return err
		}
	}
	if err := b.index(ctx, next); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(next, stampName), []byte(stamp), 0o644); err != nil {
		return err
	}
	if err := swap(next, b.Output); err != nil {
		return err
	}
	step.Done("")
	return nil
}

// index writes the repository metadata. Times are fixed, so that the same
// packages give the same bytes.
func (b builder) index(ctx context.Context, dir string) error {
	_, err := b.runner.Run(ctx, tool.Cmd{Name: "createrepo_c", Args: []string{
		"--quiet", "--no-database", "--workers", fmt.Sprint(b.Jobs),
		"--revision", "1", "--set-timestamp-to-revision", dir,
	}})
	return err
}

// ownDirectory refuses to replace a directory that is not a repository of ours.
func ownDirectory(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, stampName)); err != nil {
		return errors.New("the directory holds something else than a repository of ours; choose another one")
	}
	return nil
}

func stampOf(rpms []rpm) string {
	var lines []string
	for _, rpm := range rpms {
		lines = append(lines, filepath.Base(rpm.path)+" "+rpm.name)
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:]) + "\n"
}

// place links a file, or copies it where the two are on different file systems.
func place(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// swap puts next at the place of dir; the former dir, if any, is then at next.
func swap(next, dir string) error {
	err := unix.Renameat2(unix.AT_FDCWD, next, unix.AT_FDCWD, dir, unix.RENAME_EXCHANGE)
	switch {
	case errors.Is(err, unix.ENOENT):
		return os.Rename(next, dir)
	case err != nil:
		return fmt.Errorf("exchange %s and %s: %w", next, dir, err)
	}
	return nil
}
