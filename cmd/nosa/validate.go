package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/nestos/nosa-actions/internal/stage/validate"
)

func validateCommand(app *app) *cobra.Command {
	var o validate.Options
	cmd := &cobra.Command{
		Use:   "build-validate",
		Short: "Hold the artifacts of a build against their checksums",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Workdir, err = app.workdir(); err != nil {
				return err
			}
			checks, err := validate.Run(cmd.Context(), o)
			return errors.Join(validate.Print(app.out, checks), err)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Build, "build", "latest", "build to check, in all architectures that lie here")
	flags.StringArrayVar(&o.Images, "image", nil, "artifact to check instead of all; may be repeated")
	flags.BoolVar(&o.NoChecksum, "no-checksum", false, "look only at presence and size")
	return cmd
}
