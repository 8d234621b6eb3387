package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/nestos/nosa-actions/internal/stage/flatten"
)

func manifestCommand(app *app) *cobra.Command {
	var rpmArch string
	cmd := &cobra.Command{
		Use:   "manifest [FILE]",
		Short: "Print the flattened treefile as JSON",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			path := filepath.Join("src", "config", "manifest.yaml")
			if len(args) > 0 {
				path = args[0]
			}
			text, err := flatten.Run(path, rpmArch)
			if err != nil {
				return err
			}
			_, err = app.out.Write(text)
			return err
		},
	}
	cmd.Flags().StringVar(&rpmArch, "arch", "", "architecture instead of this machine's")
	return cmd
}
