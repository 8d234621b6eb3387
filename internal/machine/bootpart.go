package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/diskfs/go-diskfs/partition/gpt"

	"github.com/nestos/nosa-actions/internal/tool"
)

// bootEdit is what is changed on the boot partition of a guest's own disk before
// its first start.
type bootEdit struct {
	kargs     string // appended to every boot entry
	firstboot string // arguments of the first boot alone
	config    []byte // Ignition config, as an installer leaves it; nil: none
}

func (e bootEdit) empty() bool { return e.kargs == "" && e.firstboot == "" && e.config == nil }

// editBoot changes the boot partition, an ext4 file system, of a qcow2 disk. It
// is copied out, changed by debugfs and copied back, so that nothing is mounted
// and nothing of the host is needed.
func editBoot(ctx context.Context, r tool.Runner, disk, scratch string, edit bootEdit) error {
	dir, err := os.MkdirTemp(scratch, "boot-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	start, size, err := findPartition(ctx, r, disk, dir, "boot")
	if err != nil {
		return fmt.Errorf("boot partition: %w", err)
	}
	b := bootPartition{run: r, image: filepath.Join(dir, "boot.img"), dir: dir}
	if err := copyOut(ctx, r, disk, start, size, b.image); err != nil {
		return fmt.Errorf("boot partition: %w", err)
	}
	if err := b.apply(ctx, edit); err != nil {
		return fmt.Errorf("boot partition: %w", err)
	}
	return copyIn(ctx, r, b.image, disk, start, size)
}

func copyIn(ctx context.Context, r tool.Runner, from, disk string, start, size int64) error {
	_, err := r.Run(ctx, tool.Cmd{Name: "qemu-img", Args: []string{
		"convert", "-n", "-f", "raw", "--target-image-opts", from, slice(disk, start, size),
	}})
	return err
}

// overwrite puts content into a qcow2 disk, at a multiple of 512 bytes or not.
func overwrite(ctx context.Context, r tool.Runner, disk, scratch string, offset int64, content []byte) error {
	part := filepath.Join(scratch, "part")
	defer os.Remove(part)
	start := offset &^ (sectorSize - 1)
	size := (offset + int64(len(content)) - start + sectorSize - 1) &^ (sectorSize - 1)
	if err := copyOut(ctx, r, disk, start, size, part); err != nil {
		return err
	}
	f, err := os.OpenFile(part, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, offset-start)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return copyIn(ctx, r, part, disk, start, size)
}

// sectorSize is what qemu-img reads and writes as a whole, in bytes.
const sectorSize = 4096

// slice names a part of a qcow2 disk, in bytes, for qemu-img.
func slice(disk string, start, size int64) string {
	return fmt.Sprintf("driver=raw,offset=%d,size=%d,file.driver=qcow2,file.file.driver=file,file.file.filename=%s", start, size, escapeOption(disk))
}

func copyOut(ctx context.Context, r tool.Runner, disk string, start, size int64, to string) error {
	_, err := r.Run(ctx, tool.Cmd{Name: "qemu-img", Args: []string{
		"convert", "--image-opts", "-O", "raw", slice(disk, start, size), to,
	}})
	return err
}

// tableSize is more than a partition table takes at the begin of a disk, with
// sectors of either size; bytes.
const tableSize = 1 << 20

// findPartition looks a partition up by its GPT name and returns where it lies,
// in bytes.
func findPartition(ctx context.Context, r tool.Runner, disk, scratch, name string) (start, size int64, err error) {
	head := filepath.Join(scratch, "table")
	if err := copyOut(ctx, r, disk, 0, tableSize, head); err != nil {
		return 0, 0, err
	}
	f, err := os.Open(head)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	for _, sector := range []int{512, 4096} {
		var magic [8]byte
		if _, err := f.ReadAt(magic[:], int64(sector)); err != nil || string(magic[:]) != "EFI PART" {
			continue
		}
		table, err := gpt.Read(f, sector, sector)
		if err != nil {
			return 0, 0, err
		}
		for _, p := range table.Partitions {
			if p.Name == name {
				return int64(p.Start) * int64(sector), int64(p.End-p.Start+1) * int64(sector), nil
			}
		}
		return 0, 0, fmt.Errorf("the disk has none by the name %q", name)
	}
	return 0, 0, fmt.Errorf("the disk has no GUID partition table")
}

// bootPartition is an ext4 file system in a file of its own.
type bootPartition struct {
	run   tool.Runner
	image string
	dir   string // for scratch files

	readOnly bool
}

const (
	entriesDir   = "/loader/entries"
	syslinuxMenu = "/loader/syslinux.cfg" // of GRUBs that read no boot entries
	firstBoot    = "/ignition.firstboot"
)

func (b bootPartition) apply(ctx context.Context, edit bootEdit) error {
	if edit.kargs != "" {
		if err := b.addKargs(ctx, edit.kargs); err != nil {
			return err
		}
	}
	if edit.firstboot != "" {
		if strings.ContainsAny(edit.firstboot, "'\n") {
			return fmt.Errorf("arguments of the first boot cannot contain quotes or line ends: %q", edit.firstboot)
		}
		// GRUB runs the stamp as a script before it expands $ignition_firstboot.
		if _, err := b.read(ctx, firstBoot); err != nil {
			return fmt.Errorf("the image was booted before: %w", err)
		}
		if err := b.write(ctx, firstBoot, []byte("set ignition_network_kcmdline='"+edit.firstboot+"'\n")); err != nil {
			return err
		}
	}
	if edit.config != nil {
		if _, err := b.debugfs(ctx, "mkdir /ignition"); err != nil {
			return err
		}
		return b.write(ctx, "/ignition/config.ign", edit.config)
	}
	return nil
}

// addKargs appends arguments to all boot entries, and to the menu that ostree
// keeps beside them for boot loaders that do not read entries.
func (b bootPartition) addKargs(ctx context.Context, kargs string) error {
	names, err := b.list(ctx, entriesDir)
	if err != nil {
		return err
	}
	changed := 0
	for _, name := range names {
		if path.Ext(name) != ".conf" {
			continue
		}
		if err := b.change(ctx, path.Join(entriesDir, name), "options ", kargs); err != nil {
			return err
		}
		changed++
	}
	if changed == 0 {
		return fmt.Errorf("no boot entries in %s", entriesDir)
	}
	if menu, err := b.read(ctx, syslinuxMenu); err != nil || len(menu) == 0 {
		return nil //nolint:nilerr // most images have none
	}
	return b.change(ctx, syslinuxMenu, "APPEND ", kargs)
}

// change appends words to every line of a file that begins with a key.
func (b bootPartition) change(ctx context.Context, name, key, words string) error {
	text, err := b.read(ctx, name)
	if err != nil {
		return err
	}
	out, found := appendToLines(text, key, words)
	if !found {
		return fmt.Errorf("%s has no line %q", name, strings.TrimSpace(key))
	}
	return b.write(ctx, name, out)
}

func appendToLines(text []byte, key, words string) (out []byte, found bool) {
	for line := range bytes.Lines(text) {
		bare := bytes.TrimRight(line, "\n")
		if bytes.HasPrefix(bytes.TrimLeft(bare, " \t"), []byte(key)) {
			bare, found = append(bytes.Clone(bare), " "+words...), true
		}
		out = append(append(out, bare...), '\n')
	}
	return out, found
}

// list names the files of a directory.
func (b bootPartition) list(ctx context.Context, dir string) ([]string, error) {
	out, err := b.debugfs(ctx, "ls -p "+dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(out) { // /INODE/MODE/UID/GID/NAME/SIZE/
		if fields := strings.Split(strings.TrimSpace(line), "/"); len(fields) >= 7 && fields[5] != "." && fields[5] != ".." {
			names = append(names, fields[5])
		}
	}
	return names, nil
}

func (b bootPartition) read(ctx context.Context, name string) ([]byte, error) {
	local := filepath.Join(b.dir, "out")
	defer os.Remove(local)
	if _, err := b.debugfs(ctx, "dump "+name+" "+local); err != nil {
		return nil, err
	}
	return os.ReadFile(local)
}

// selinux is the only extended attribute that files of a boot partition have.
const selinux = "security.selinux"

// write replaces a file or makes one; a label that it has stays.
func (b bootPartition) write(ctx context.Context, name string, content []byte) error {
	// A directory that is a symbolic link is followed only if more comes behind.
	parent, base := path.Split(name)
	name = parent + "./" + base
	local, label := filepath.Join(b.dir, "in"), filepath.Join(b.dir, "label")
	if err := os.WriteFile(local, content, 0o644); err != nil {
		return err
	}
	defer os.Remove(local)
	defer os.Remove(label)
	_, _ = b.debugfs(ctx, "ea_get -f "+label+" "+name+" "+selinux) // most have none
	_, _ = b.debugfs(ctx, "rm "+name)                              // may be new
	if _, err := b.debugfs(ctx, "write "+local+" "+name); err != nil {
		return err
	}
	if info, err := os.Stat(label); err == nil && info.Size() > 0 {
		_, err := b.debugfs(ctx, "ea_set -f "+label+" "+name+" "+selinux)
		return err
	}
	return nil
}

// debugfs runs one of its commands. It ends well whatever happens; what went
// wrong it says on standard error, after its name and version.
func (b bootPartition) debugfs(ctx context.Context, command string) (string, error) {
	var said bytes.Buffer
	args := []string{"-w", "-R", command, b.image}
	if b.readOnly {
		args = args[1:]
	}
	out, err := b.run.Run(ctx, tool.Cmd{Name: "debugfs", Args: args, Stderr: &said})
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(said.String()) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "debugfs ") && !strings.HasPrefix(line, "Allocated inode") {
			return "", fmt.Errorf("debugfs: %s: %s", command, line)
		}
	}
	return string(out), nil
}
