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
	if _, err := e.commands(ctx, "-w", writeCommands(file, path)...); err != nil {
		return err
	}
	got, err := e.debugfs(ctx, "-R", "cat "+path)
	if err != nil {
		return err
	}
	return sameContent(file, got)
}

func writeCommands(file, path string) []string {
	// The dot makes debugfs follow a directory that is a symbolic link, which its
	// commands do only in the middle of a path.
	dir, name := filepath.Split(path)
	return []string{"cd " + dir + ".", "rm " + name, fmt.Sprintf("write %q %s", file, name)}
}

func sameContent(file string, got []byte) error {
	want, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return errors.New("debugfs did not write it")
	}
	return nil
}

// commands has debugfs follow several commands, and returns what it says to each.
func (e ext4Files) commands(ctx context.Context, option string, commands ...string) ([]string, error) {
	script := filepath.Join(e.scratch, "commands")
	if err := os.WriteFile(script, []byte(strings.Join(commands, "\n")+"\n"), 0o600); err != nil {
		return nil, err
	}
	args := []string{"-f", script}
	if option != "" {
		args = append([]string{option}, args...)
	}
	text, err := e.debugfs(ctx, args...)
	if err != nil {
		return nil, err
	}
	said, rest := make([]string, len(commands)), string(text)
	for i, command := range commands { // it repeats each before what it says to it
		before, after, found := strings.Cut(rest, "debugfs: "+command+"\n")
		if !found {
			return nil, fmt.Errorf("debugfs did not come to the command %q", command)
		}
		if i > 0 {
			said[i-1] = before
		}
		rest = after
	}
	said[len(said)-1] = rest
	return said, nil
}

// seal writes a file of this machine to path, as write does, and gives files and
// directories the immutable flag.
func (e ext4Files) seal(ctx context.Context, file, path string, immutable ...string) error {
	var look []string
	for _, path := range immutable {
		look = append(look, "stat "+path)
	}
	said, err := e.commands(ctx, "", look...)
	if err != nil {
		return err
	}
	edits := writeCommands(file, path)
	var want []uint64
	for i, path := range immutable {
		flags, err := inodeFlags(said[i])
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		want = append(want, flags|ext4Immutable)
		edits = append(edits, fmt.Sprintf("set_inode_field %s flags %#x", path, want[i]))
	}
	if _, err := e.commands(ctx, "-w", edits...); err != nil {
		return err
	}
	if said, err = e.commands(ctx, "", append(look, "cat "+path)...); err != nil {
		return err
	}
	for i, path := range immutable {
		if got, err := inodeFlags(said[i]); err != nil || got != want[i] {
			return errors.Join(err, fmt.Errorf("debugfs left the inode flags of %s at %#x instead of %#x", path, got, want[i]))
		}
	}
	if err := sameContent(file, []byte(said[len(immutable)])); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

var flagsField = regexp.MustCompile(`Flags:\s+(0x[0-9a-fA-F]+)`)

// inodeFlags finds the flags in what debugfs tells about an inode.
func inodeFlags(stat string) (uint64, error) {
	m := flagsField.FindStringSubmatch(stat)
	if m == nil {
		return 0, errors.New("debugfs does not show the inode flags")
	}
	return strconv.ParseUint(m[1], 0, 64)
}

// check runs the file system's checker, which changes nothing.
func (e ext4Files) check(ctx context.Context) error {
	out, err := e.r.Run(ctx, tool.Cmd{Name: "e2fsck", Args: []string{"-f", "-n", e.target}})
	if err != nil {
		return fmt.Errorf("checking the file system: %w\n%s", err, out)
	}
	return nil
}
