package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/diskfs/go-diskfs/partition/gpt"

	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/imageconf"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Derivation says how an image for another platform is made from a finished QEMU
// image: the same disk, but for its platform and its consoles. What those are
// the image itself knows, in /boot/nestos/platforms.json.
type Derivation struct {
	Source  string // QEMU image
	Kind    image.Kind
	Scratch string // made if missing, removed in the end
	Output  string // appears whole or not at all
}

// Derive makes the image.
func Derive(ctx context.Context, r tool.Runner, log *progress.Log, d Derivation) error {
	t := d.Kind.Traits()
	if !t.Derived {
		return fmt.Errorf("%s is not a kind of image that is derived from another", d.Kind)
	}
	if err := tool.Need("qemu-img", "debugfs", "e2fsck"); err != nil {
		return err
	}
	if err := os.RemoveAll(d.Scratch); err != nil {
		return err
	}
	if err := os.MkdirAll(d.Scratch, 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(d.Scratch) //nolint:errcheck // the next run clears it
	step := log.Step("deriving %s", filepath.Base(d.Output))
	defer step.Stop()
	raw := filepath.Join(d.Scratch, "disk.raw")
	if err := convert(ctx, r, d.Source, image.QCOW2, raw, image.Raw); err != nil {
		return err
	}
	if err := retarget(ctx, r, raw, d.Scratch, t.Platform); err != nil {
		return fmt.Errorf("retargeting the boot partition: %w", err)
	}
	part := filepath.Join(filepath.Dir(d.Output), "."+filepath.Base(d.Output)+".part")
	defer os.Remove(part) //nolint:errcheck // there is none after success
	if err := convert(ctx, r, raw, image.Raw, part, t.Format); err != nil {
		return err
	}
	if err := os.Rename(part, d.Output); err != nil {
		return err
	}
	step.Done("")
	return nil
}

func convert(ctx context.Context, r tool.Runner, from string, format image.Format, to string, want image.Format) error {
	args := []string{"convert", "-f", string(format), "-O", string(want), "-W"}
	if want == image.QCOW2 {
		args = append(args, "-o", "compat=1.1")
	}
	_, err := r.Run(ctx, tool.Cmd{Name: "qemu-img", Args: append(args, from, to)})
	return err
}

// retarget edits the boot file system of a raw disk, without mounting it.
func retarget(ctx context.Context, r tool.Runner, raw, scratch, platform string) error {
	at, err := partitionStart(raw, image.BootPartition)
	if err != nil {
		return err
	}
	boot := ext4Files{r: r, target: fmt.Sprintf("%s?offset=%d", raw, at), scratch: scratch}
	consoles, err := boot.platforms(ctx)
	if err != nil {
		return err
	}
	entry, err := boot.only(ctx, "/loader/entries", "ostree-", ".conf")
	if err != nil {
		return err
	}
	edits := map[string]func(string) (string, error){
		entry: func(text string) (string, error) { return retargetEntry(text, platform, consoles) },
	}
	if has, err := boot.has(ctx, "/loader/syslinux.cfg"); err != nil {
		return err
	} else if has {
		edits["/loader/syslinux.cfg"] = edits[entry]
	}
	if consoles != nil {
		edits["/grub2/grub.cfg"] = func(text string) (string, error) {
			return replaceConsole(text, consoles[platform].GrubCommands)
		}
	}
	for path, edit := range edits {
		if err := boot.edit(ctx, path, edit); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return boot.check(ctx)
}

var (
	platformKarg = regexp.MustCompile(` ignition\.platform\.id=[A-Za-z0-9_-]+`)
	optionsLine  = regexp.MustCompile(`(?m)^[ \t]*(options|APPEND)[ \t].*$`)
)

// retargetEntry moves a boot entry, or a syslinux menu, to another platform: its
// id and its console arguments stand at the end then.
func retargetEntry(text, platform string, consoles map[string]imageconf.Console) (string, error) {
	lines := optionsLine.FindAllString(text, -1)
	if len(lines) != 1 {
		return "", fmt.Errorf("has %d lines of kernel arguments instead of one", len(lines))
	}
	args := platformKarg.ReplaceAllString(lines[0], "")
	args += " ignition.platform.id=" + platform
	if consoles != nil {
		if own := strings.Join(consoles["qemu"].KernelArguments, " "); own != "" {
			args = strings.Replace(args, " "+own, "", 1)
		}
		for _, arg := range consoles[platform].KernelArguments {
			args += " " + arg
		}
	}
	return strings.Replace(text, lines[0], args, 1), nil
}

// replaceConsole puts other commands between the console markers of a GRUB
// script.
func replaceConsole(script string, commands []string) (string, error) {
	_, rest, found := strings.Cut(script, imageconf.ConsoleStart+"\n")
	old, _, ended := strings.Cut(rest, imageconf.ConsoleEnd+"\n")
	if !found || !ended {
		return "", errors.New("has no markers for the console settings")
	}
	return insertAfterMarker(strings.Replace(script, imageconf.ConsoleStart+"\n"+old, imageconf.ConsoleStart+"\n", 1), commands)
}

// partitionStart finds where a partition of a raw disk with sectors of 512 bytes
// begins.
func partitionStart(raw string, number int) (int64, error) {
	f, err := os.Open(raw)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	table, err := gpt.Read(f, 512, 512)
	if err != nil {
		return 0, fmt.Errorf("reading the partition table: %w", err)
	}
	for _, part := range table.Partitions {
		if part.Index == number {
			return part.GetStart(), nil
		}
	}
	return 0, fmt.Errorf("the disk has no partition %d", number)
}
