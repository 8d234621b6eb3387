package main

import (
	"github.com/spf13/cobra"

	"github.com/nestos/nosa-actions/internal/stage/test"
)

func kolaTestISOCommand(app *app) *cobra.Command {
	var o test.LiveOptions
	cmd := &cobra.Command{
		Use:   "testiso [PATTERN...]",
		Short: "start the live ISO in every way, and install from it",
		Long: `Start the live system of the newest build as CD, as disk and from the network, under
BIOS and UEFI, and let it install to an empty disk, which is then started. The tests run
one after the other.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := workdirUnless(app, o.ISO != "")
			if err != nil {
				return err
			}
			o.Patterns, o.Terminal = args, app.out
			result, err := test.RunLive(cmd.Context(), app.runner, app.log, dir, o)
			if err != nil {
				return err
			}
			return conclude(app, result, false)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Build, "build", "", "build `ID` to test (default the newest)")
	flags.StringVar(&o.ISO, "qemu-iso", "", "live image `FILE` to test, without the network's tests")
	flags.StringArrayVar(&o.Deny, "denylist-test", nil, "leave out tests that fit `GLOB`")
	flags.StringVar(&o.OutputDir, "output-dir", "", "`DIR` for logs and reports (default tmp/kola-testiso)")
	flags.IntVar(&o.MemoryMiB, "qemu-memory", 0, "at least so many `MB` of memory")
	flags.IntVar(&o.ExtendPercent, "extend-timeout-percentage", 0, "lengthen time-outs by `N` percent")
	flags.StringVar(&o.PXEKargs, "pxe-kargs", "", "more kernel `ARGS` where the kernel comes by the network")
	flags.BoolVar(&o.PXEAppendRootfs, "pxe-append-rootfs", false, "load the root as an initrd, and not from its URL")
	flags.BoolP("inst-insecure", "S", true, "do not ask for signatures of images, which come with the ISO")
	return cmd
}
