package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nestos/nosa-actions/internal/stage/flatten"
)

func manifestCommand(app *app) *cobra.Command {
	var rpmArch string
	cmd := &cobra.Command{
		Use:   "manifest [flags] [FILE]",
		Short: "Print the flattened treefile as JSON",
		Long: `Print what a treefile with all that it includes comes to, as JSON with sorted keys.

FILE is a treefile anywhere; without it, that of the work directory in the current
directory is taken. Everything that is wrong with it is told at once, each with its
place.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := app.treefile(args, rpmArch)
			if err != nil {
				return err
			}
			machine, err := machine(rpmArch)
			if err != nil {
				return err
			}
			result, err := flatten.Run(path, machine)
			if err != nil {
				return err
			}
			for _, warning := range result.Warnings {
				fmt.Fprintln(app.err, warning)
			}
			_, err = app.out.Write(result.JSON)
			return err
		},
	}
	cmd.Flags().StringVar(&rpmArch, "arch", "", "architecture instead of this machine's")
	return cmd
}

// treefile is the one named, or that of the work directory.
func (a *app) treefile(args []string, rpmArch string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	dir, err := a.workdirAt("", rpmArch)
	if err != nil {
		return "", fmt.Errorf("%w, or name a treefile", err)
	}
	return flatten.Treefile(dir)
}
