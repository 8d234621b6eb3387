package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nestos/nosa-actions/internal/stage/fetch"
)

func fetchCommand(app *app) *cobra.Command {
	var o fetch.Options
	cmd := &cobra.Command{
		Use:   "fetch",
		Short: "Resolve the packages of the manifest and download them",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := app.workdir()
			if err != nil {
				return err
			}
			result, err := fetch.Run(cmd.Context(), app.runner, app.log, dir, o)
			if err != nil {
				return err
			}
			verb := "Fetched"
			if o.DryRun {
				verb = "Would fetch"
			}
			fmt.Fprintf(app.out, "%s %d packages, %.1f MB\n", verb, len(result.Packages), float64(result.Bytes)/1e6)
			if result.Lockfile != "" {
				fmt.Fprintf(app.out, "Wrote %s\n", result.Lockfile)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.Bool("force", false, "accepted for compatibility: every fetch looks at the repositories anew")
	flags.BoolVar(&o.Strict, "strict", false, "only packages that a lockfile names")
	flags.BoolVar(&o.UpdateLockfile, "update-lockfile", false, "write the lockfile anew instead of heeding it")
	flags.StringVar(&o.WriteLockfileTo, "write-lockfile-to", "", "the same, to another file")
	flags.StringVar(&o.AutoLock, "autolock", "", "stay with the packages of this build, for configs without a lockfile")
	flags.BoolVar(&o.WithOverrides, "with-cosa-overrides", false, "also fetch what the packages in overrides/rpm need")
	flags.BoolVar(&o.DryRun, "dry-run", false, "resolve only")
	return cmd
}
