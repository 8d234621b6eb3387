package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/nestos/nosa-actions/internal/stage/list"
)

func listCommand(app *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the builds of this work directory, newest first",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			dir, err := app.workdir()
			if err != nil {
				return err
			}
			builds, err := list.Run(list.Options{Workdir: dir})
			if err != nil {
				return err
			}
			return builds.Print(app.out, time.Now())
		},
	}
}
