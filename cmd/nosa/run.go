package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	stagerun "github.com/nestos/nosa-actions/internal/stage/run"
	"github.com/nestos/nosa-actions/internal/workdir"
)

func runCommand(app *app) *cobra.Command {
	var o stagerun.Options
	cmd := &cobra.Command{
		Use:   "run [IMAGE.qcow2] [-- QEMU-ARGS...]",
		Short: "boot an image and give a shell in it",
		Long: "Boots the newest build's qemu image, or the given one, and gives a shell by ssh\n" +
			"or on the serial console. The image is not changed. The guest ends with the shell.",
		RunE: func(cmd *cobra.Command, args []string) error {
			images, extra := args, []string(nil)
			if dash := cmd.ArgsLenAtDash(); dash >= 0 {
				images, extra = args[:dash], args[dash:]
			}
			o.ExtraArgs = extra
			switch {
			case len(images) > 1 || len(images) == 1 && !strings.HasSuffix(images[0], ".qcow2"):
				return fmt.Errorf("unexpected argument %q; an image to boot ends in .qcow2", images[len(images)-1])
			case len(images) == 1 && o.Image != "":
				return fmt.Errorf("two images to boot: %s and %s", o.Image, images[0])
			case len(images) == 1:
				o.Image = images[0]
			}
			dir, err := workdirUnless(app, o.Image != "")
			if err != nil {
				return err
			}
			status, err := stagerun.Run(cmd.Context(), app.runner, app.log, dir, o, app.in, app.out, app.err)
			if err == nil && status != 0 {
				return exitStatus(status)
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.Ignition, "ignition", "i", "", "Ignition config `FILE`")
	flags.StringVarP(&o.Butane, "butane", "B", "", "Butane config `FILE`")
	flags.BoolVar(&o.Direct, "ignition-direct", false, "pass the Ignition config untouched (needs -c)")
	flags.StringVarP(&o.Command, "ssh-command", "x", "", "run `COMMAND` instead of a shell and end with its status")
	flags.BoolVarP(&o.Console, "devshell-console", "c", false, "connect to the serial console instead of ssh")
	flags.StringVar(&o.ConsoleFile, "console-to-file", "", "write the serial console to `FILE`")
	flags.StringVar(&o.Hostname, "hostname", "", "`NAME` of the guest (default nosa-devsh)")
	flags.StringVar(&o.Build, "build", "", "build `ID` to boot (default the newest)")
	flags.StringVar(&o.Image, "qemu-image", "", "disk image `FILE` to boot")
	flags.StringVar((*string)(&o.Firmware), "qemu-firmware", "", "bios, uefi or uefi-secure (default bios, on aarch64 uefi)")
	flags.IntVarP(&o.MemoryMiB, "memory", "m", 0, "memory in `MB` (default 1024, on aarch64 2048)")
	flags.IntVar(&o.MemoryMiB, "qemu-memory", 0, "same as --memory")
	flags.IntVar(&o.DiskGiB, "qemu-size", 0, "grow the disk to `GB`")
	flags.StringArrayVarP(&o.Disks, "add-disk", "D", nil, "additional disk, `SIZE[:OPT,...]` such as 5G:serial=data")
	flags.StringArrayVar(&o.Kargs, "kargs", nil, "more kernel `ARGS` for every boot")
	flags.StringVar(&o.FirstbootKargs, "firstbootkargs", "", "more kernel `ARGS` for the first boot")
	flags.BoolVar(&o.Inject, "inject-ignition", false, "leave the Ignition config on the boot partition, as an installer does")
	flags.StringArrayVar(&o.BindRO, "bind-ro", nil, "show a directory to the guest, `DIR,PATH`")
	flags.StringArrayVar(&o.BindRW, "bind-rw", nil, "the same, and the guest may write to it")
	flags.IntVar(&o.NICs, "additional-nics", 0, "`N` more network cards")
	_ = flags.MarkHidden("qemu-memory")
	cmd.MarkFlagsMutuallyExclusive("ignition", "butane")
	cmd.MarkFlagsMutuallyExclusive("devshell-console", "console-to-file")
	cmd.MarkFlagsMutuallyExclusive("devshell-console", "ssh-command")
	return cmd
}

// workdirUnless finds the work directory; where it is optional, its absence is
// nil without an error.
func workdirUnless(app *app, optional bool) (*workdir.Dir, error) {
	dir, err := app.workdir()
	if err != nil && optional {
		return nil, nil //nolint:nilerr // that is what optional means
	}
	return dir, err
}
