package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/stage/exportrepo"
)

func exportRepoCommand(app *app) *cobra.Command {
	var o exportrepo.Options
	var rpmArch string
	cmd := &cobra.Command{
		Use:   "export-repo [flags] [DIR]",
		Short: "Make an OSTree repository for plain ostree clients",
		Long: `Bring the commit of a build into the OSTree repository DIR, which any web server can
hand out, with a static delta from what its ref named before. A new repository is
made where there is none.

Without DIR the repository is written as a tar file beside the images of the build,
with a delta from the build before, if that is here.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := app.workdir()
			if err != nil {
				return err
			}
			if len(args) > 0 {
				o.Dir = args[0]
			}
			if rpmArch != "" {
				if dir.Arch, err = arch.Parse(rpmArch); err != nil {
					return err
				}
			}
			result, err := exportrepo.Run(cmd.Context(), app.runner, app.log, dir, o)
			if err != nil {
				return err
			}
			fmt.Fprintln(app.out, result.Path)
			for _, c := range result.Commits {
				fmt.Fprintf(app.out, "%s %s\n", c.Checksum, c.Ref)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Build, "build", "", "build that is meant (default the newest)")
	flags.StringVar(&rpmArch, "arch", "", "architecture of the tar file instead of this machine's")
	flags.StringVar(&o.DeltaFrom, "delta-from", "", "build that clients have, or none")
	flags.BoolVar(&o.Prune, "prune", false, "remove commits that no ref names any more")
	return cmd
}
