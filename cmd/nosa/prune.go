package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nestos/nosa-actions/internal/stage/prune"
)

func pruneCommand(app *app) *cobra.Command {
	var o prune.Options
	var path string
	cmd := &cobra.Command{
		Use:   "prune [--keep-last-n N | --build ID...]",
		Short: "Remove old builds; tagged ones stay",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Workdir, err = app.workdirAt(path, ""); err != nil {
				return err
			}
			o.Runner = app.runner
			dropped, err := prune.Run(cmd.Context(), o)
			said := "Pruned build"
			if o.DryRun {
				said = "Would prune build"
			}
			for _, id := range dropped {
				fmt.Fprintln(app.out, said, id)
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&path, "workdir", "", "work directory instead of the current one")
	flags.IntVar(&o.KeepLast, "keep-last-n", prune.DefaultKeep, "number of newest builds to keep, not counting tagged ones; 0 keeps all")
	flags.StringArrayVar(&o.Builds, "build", nil, "build to remove; may be repeated")
	flags.BoolVar(&o.DryRun, "dry-run", false, "only tell what would be removed")
	cmd.MarkFlagsMutuallyExclusive("keep-last-n", "build")
	return cmd
}
