package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nestos/nosa-actions/internal/stage/prune"
)

func pruneCommand(app *app) *cobra.Command {
	var o prune.Options
	var path string
	var pkgcache bool
	cmd := &cobra.Command{
		Use:   "prune [--keep-last-n N | --build ID...] [--pkgcache]",
		Short: "Remove old builds; tagged ones stay",
		Long: `Remove old builds; tagged ones stay and do not count. With --pkgcache remove old
packages from the cache; builds are then removed only if --keep-last-n or --build is
given too.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Workdir, err = app.workdirAt(path, ""); err != nil {
				return err
			}
			if pkgcache {
				if err := prunePackages(cmd.Context(), app, o); err != nil {
					return err
				}
				if !cmd.Flags().Changed("keep-last-n") && !cmd.Flags().Changed("build") {
					return nil
				}
			}
			dropped, err := prune.Run(o)
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
	flags.BoolVar(&pkgcache, "pkgcache", false, "remove cached packages older than 30 days that neither the newest build nor the last fetch has")
	cmd.MarkFlagsMutuallyExclusive("keep-last-n", "build")
	return cmd
}

func prunePackages(ctx context.Context, app *app, o prune.Options) error {
	freed, err := prune.Packages(ctx, o.Workdir, o.DryRun)
	said := "Pruned"
	if o.DryRun {
		said = "Would prune"
	}
	fmt.Fprintf(app.out, "%s %d cached packages, %.1f MB\n", said, len(freed.Files), float64(freed.Bytes)/1e6)
	return err
}
