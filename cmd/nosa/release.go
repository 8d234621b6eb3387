package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nestos/nosa-actions/internal/stage/releasejoin"
)

// releaseCommand is for those who download releases; publishing them is the
// business of an action.
func releaseCommand(app *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "release",
		Short: "Work with a downloaded release",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help()
			return errUsage
		},
	}
	cmd.AddCommand(releaseJoinCommand(app))
	return cmd
}

func releaseJoinCommand(app *app) *cobra.Command {
	o := releasejoin.Options{Dir: "."}
	cmd := &cobra.Command{
		Use:   "join [FILE...]",
		Short: "Join the files that were too large for one release asset",
		Long: `Join the files that were too large for one release asset: those named, or all of
which parts are there. The directory must have assets.json of the release too. Parts
and results are verified; a file appears when it is whole and right.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Files, o.Log = args, app.log
			paths, err := releasejoin.Run(cmd.Context(), o)
			for _, path := range paths {
				fmt.Fprintln(app.out, path)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&o.Dir, "dir", o.Dir, "directory with the downloaded assets")
	cmd.Flags().BoolVar(&o.Remove, "remove-parts", false, "remove the parts of a file once it is joined")
	return cmd
}
