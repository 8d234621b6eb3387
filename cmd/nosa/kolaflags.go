package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/nestos/nosa-actions/internal/kola"
	vm "github.com/nestos/nosa-actions/internal/machine"
	"github.com/nestos/nosa-actions/internal/stage/test"
)

// kolaFlags are flags of kola run that have to be read before they say anything.
type kolaFlags struct {
	sharding, rerunTags string
	bindRO              []string
	multipath, nvme     bool
	native4K, swtpm     bool
	nbd                 bool
	driveOptions        string
	interactive         bool
}

func (f *kolaFlags) add(flags *pflag.FlagSet, o *test.Options) {
	flags.StringVar(&f.sharding, "sharding", "", "run the part `hash:M/N` of the tests")
	flags.IntVar(&o.Multiply, "multiply", 0, "run each test `N` times")
	flags.BoolVar(&o.Rerun, "rerun", false, "run failed tests once more")
	flags.StringVar(&f.rerunTags, "allow-rerun-success", "", "`tags=A,B` of tests whose success in the second run counts; tags=all: any")
	flags.BoolVar(&o.Anywhere, "run-platform-independent", false, "run tests for any platform on others than qemu too")
	flags.BoolVar(&f.interactive, "ssh-on-test-failure", false, "give a shell in the guest when a test has failed")
	flags.StringArrayVar(&o.DebugUnits, "debug-systemd-unit", nil, "let `UNIT` log more")
	flags.StringVar(&o.ISO, "qemu-iso", "", "live image `FILE` to test")
	flags.BoolVar(&o.ISOAsDisk, "qemu-iso-as-disk", false, "attach the live image as a disk")
	flags.BoolVar(&f.native4K, "qemu-native-4k", false, "disk with sectors of 4096 bytes")
	flags.BoolVar(&f.nvme, "qemu-nvme", false, "NVMe disk")
	flags.BoolVar(&f.multipath, "qemu-multipath", false, "disk with two paths")
	flags.BoolVar(&f.nbd, "qemu-nbd-socket", false, "let qemu-nbd hold the disk, behind a socket")
	flags.StringVar(&f.driveOptions, "qemu-drive-opts", "", "more `OPTIONS` of the disk, for qemu's -drive")
	flags.BoolVar(&f.swtpm, "qemu-swtpm", true, "emulated trusted platform module, where swtpm is installed")
	flags.StringArrayVar(&f.bindRO, "qemu-bind-ro", nil, "show a directory to all guests, `DIR,PATH`")
}

// apply reads them into the options.
func (f *kolaFlags) apply(app *app, o *test.Options) error {
	var err error
	if f.sharding != "" {
		if o.Shard, err = kola.ParseShard(f.sharding); err != nil {
			return err
		}
	}
	if f.rerunTags != "" {
		tags, ok := strings.CutPrefix(f.rerunTags, "tags=")
		if !ok || tags == "" {
			return fmt.Errorf("--allow-rerun-success %s: must be tags=A,B or tags=all", f.rerunTags)
		}
		o.RerunTags = strings.Split(tags, ",")
	}
	for _, spec := range f.bindRO {
		bind, err := vm.ParseBind(spec, false)
		if err != nil {
			return err
		}
		o.Binds = append(o.Binds, bind)
	}
	o.Primary = vm.Disk{Sector4K: f.native4K, NVMe: f.nvme, Multipath: f.multipath, NBD: f.nbd, DriveOptions: f.driveOptions}
	switch {
	case f.nvme && f.multipath:
		return errors.New("--qemu-nvme and --qemu-multipath exclude each other")
	case f.multipath && f.driveOptions != "":
		return errors.New("--qemu-drive-opts and --qemu-multipath exclude each other: a disk with two paths has no -drive")
	case f.native4K && o.Firmware == vm.BIOS:
		return errors.New("--qemu-native-4k: a BIOS cannot start from a disk with sectors of 4096 bytes; use --qemu-firmware uefi")
	case f.native4K && o.Firmware == "":
		o.Firmware = vm.UEFI
	}
	if f.swtpm {
		o.TPM = vm.TPMIfThere
	}
	if f.interactive {
		return f.shellOnFailure(app, o)
	}
	return nil
}

// shellOnFailure lets the person at the terminal look around in the guest of a
// test that has failed.
func (f *kolaFlags) shellOnFailure(app *app, o *test.Options) error {
	in, ok := app.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return errors.New("--ssh-on-test-failure needs a terminal")
	}
	o.OnFailure = func(ctx context.Context, name string, s *vm.SSH) {
		fmt.Fprintf(app.err, "test %s failed; this is a shell in its guest, which ends with it\n", name)
		if _, err := s.Shell(ctx, in, app.out, app.err); err != nil {
			fmt.Fprintf(app.err, "shell: %v\n", err)
		}
	}
	return nil
}
