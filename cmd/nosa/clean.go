package main

import (
	"github.com/spf13/cobra"

	"github.com/nestos/nosa-actions/internal/stage/clean"
)

func cleanCommand(app *app) *cobra.Command {
	var o clean.Options
	cmd := &cobra.Command{
		Use:   "clean",
		Short: "Remove builds and temporary files",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			dir, err := app.workdir()
			if err != nil {
				return err
			}
			return clean.Run(dir, o)
		},
	}
	cmd.Flags().BoolVarP(&o.All, "all", "a", false, "also what fetch downloaded")
	return cmd
}
