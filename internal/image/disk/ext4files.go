package disk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/nestos/nosa-actions/internal/imageconf"
	"github.com/nestos/nosa-actions/internal/tool"
)

const ext4Immutable = 0x10 // EXT4_IMMUTABLE_FL

// ext4Files are the files of an ext4 file system that is not mounted. debugfs
// reports success whatever its commands came to, so each outcome is looked at.
type ext4Files struct {
	r       tool.Runner
	target  string // as debugfs takes it
	scratch string
}

func (e ext4Files) debugfs(ctx context.Context, args ...string) ([]byte, error) {
	return e.r.Run(ctx, tool.Cmd{Name: "debugfs", Args: append(args, e.target)})
}

func (e ext4Files) has(ctx context.Context, path string) (bool, error) {
	out, err := e.debugfs(ctx, "-R", "stat "+path)
	return bytes.Contains(out, []byte("Inode:")), err
}

// only finds the one file of a directory with such a name.
func (e ext4Files) only(ctx context.Context, dir, prefix, suffix string) (string, error) {
	out, err := e.debugfs(ctx, "-R", "ls -p "+dir)
	if err != nil {
		return "", err
	}
	var found []string
	for line := range strings.Lines(string(out)) {
		// /inode/mode/uid/gid/name/size/
		fields := strings.Split(line, "/")
		if len(fields) > 5 && strings.HasPrefix(fields[5], prefix) && strings.HasSuffix(fields[5], suffix) {
			found = append(found, fields[5])
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%s has %d files %s*%s instead of one", dir, len(found), prefix, suffix)
	}
	return dir + "/" + found[0], nil
}

// platforms reads the image's own table; nil if it has none.
func (e ext4Files) platforms(ctx context.Context) (map[string]imageconf.Console, error) {
	const path = "/nestos/platforms.json"
	if has, err := e.has(ctx, path); err != nil || !has {
		return nil, err
	}
	text, err := e.debugfs(ctx, "-R", "cat "+path)
	if err != nil {
		return nil, err
	}
	var table map[string]imageconf.Console
	if err := json.Unmarshal(text, &table); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return table, nil
}

// edit changes the text of a file, which belongs to root then, with mode 0644.
func (e ext4Files) edit(ctx context.Context, path string, change func(string) (string, error)) error {
	old, err := e.debugfs(ctx, "-R", "cat "+path)
	if err != nil {
		return err
	}
	text, err := change(string(old))
	if err != nil || text == string(old) {
		return err
	}
	file := filepath.Join(e.scratch, "edited")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return err
	}
	return e.write(ctx, file, path)
}

// write makes a file with the content of one of this machine, in place of one
// that is there.
func (e ext4Files) write(ctx context.Context, file, path string) error {
	commands := filepath.Join(e.scratch, "commands")
	// The dot makes debugfs follow a directory that is a symbolic link, which its
	// commands do only in the middle of a path.
	dir, name := filepath.Split(path)
	script := fmt.Sprintf("cd %s.\nrm %s\nwrite %q %s\n", dir, name, file, name)
	if err := os.WriteFile(commands, []byte(script), 0o600); err != nil {
		return err
	}
	if _, err := e.debugfs(ctx, "-w", "-f", commands); err != nil {
		return err
	}
	want, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	got, err := e.debugfs(ctx, "-R", "cat "+path)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return errors.New("debugfs did not write it")
	}
	return nil
}

// setImmutable sets the flag of a file or directory.
func (e ext4Files) setImmutable(ctx context.Context, path string) error {
	flags, err := e.inodeFlags(ctx, path)
	if err != nil {
		return err
	}
	flags |= ext4Immutable
	if _, err := e.debugfs(ctx, "-w", "-R", fmt.Sprintf("set_inode_field %s flags %#x", path, flags)); err != nil {
		return err
	}
	switch got, err := e.inodeFlags(ctx, path); {
	case err != nil:
		return err
	case got != flags:
		return fmt.Errorf("debugfs left the inode flags at %#x instead of %#x", got, flags)
	}
	return nil
}

var flagsField = regexp.MustCompile(`Flags:\s+(0x[0-9a-fA-F]+)`)

func (e ext4Files) inodeFlags(ctx context.Context, path string) (uint64, error) {
	out, err := e.debugfs(ctx, "-R", "stat "+path)
	if err != nil {
		return 0, err
	}
	m := flagsField.FindSubmatch(out)
	if m == nil {
		return 0, errors.New("debugfs does not show the inode flags")
	}
	return strconv.ParseUint(string(m[1]), 0, 64)
}

// check runs the file system's checker, which changes nothing.
func (e ext4Files) check(ctx context.Context) error {
	out, err := e.r.Run(ctx, tool.Cmd{Name: "e2fsck", Args: []string{"-f", "-n", e.target}})
	if err != nil {
		return fmt.Errorf("checking the file system: %w\n%s", err, out)
	}
	return nil
}
