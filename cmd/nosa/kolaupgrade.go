package main

import (
	"math/rand/v2"

	"github.com/spf13/cobra"

	"github.com/nestos/nosa-actions/internal/stage/test"
)

func kolaUpgradeCommand(app *app) *cobra.Command {
	var o test.UpgradeOptions
	var parallel string
	cmd := &cobra.Command{
		Use:   "run-upgrade",
		Short: "start the build before and update it to the newest",
		Long: `Start the build before, update it in place to the new build over HTTP, restart into
that, look whether everything in /var and /etc is there, go back, and restart again.
The repository that it updates from is made of the OCI archives of both builds; the
report tells how many bytes a machine downloads for the update.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Parallel, err = parseParallel(parallel); err != nil {
				return err
			}
			dir, err := app.workdir()
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("seed") {
				o.Seed = rand.Uint64()
			}
			o.Terminal = app.out
			result, err := test.RunUpgrade(cmd.Context(), app.runner, app.log, dir, o)
			if err != nil {
				return err
			}
			return conclude(app, result, false)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Build, "build", "", "build `ID` to update to (default the newest)")
	flags.StringVar(&o.Parent, "parent-build", "", "build `ID` to start from (default the newest before it that has an image)")
	flags.StringVar(&o.Image, "qemu-image", "", "disk image `FILE` to start from")
	flags.IntVar(&o.Cuts, "power-cuts", 0, "cut the power `N` times in the middle of the update")
	flags.Uint64Var(&o.Seed, "seed", 0, "repeat the moments of an earlier run's power cuts")
	flags.StringVarP(&parallel, "parallel", "j", "1", "guests at a time for power cuts, or auto")
	flags.IntVar(&o.MemoryMiB, "qemu-memory", 0, "at least so many `MB` of memory")
	flags.IntVar(&o.DiskGiB, "qemu-size", 0, "grow the disk to `GB`")
	flags.StringVar(&o.OutputDir, "output-dir", "", "`DIR` for logs and reports (default tmp/kola-upgrade)")
	flags.IntVar(&o.ExtendPercent, "extend-timeout-percentage", 0, "lengthen time-outs by `N` percent")
	flags.Bool("find-parent-image", true, "look for the image to start from, which is done anyway")
	_ = flags.MarkHidden("find-parent-image")
	return cmd
}
