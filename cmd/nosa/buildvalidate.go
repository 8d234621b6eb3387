package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/nestos/nosa-actions/internal/stage/buildvalidate"
)

func buildValidateCommand(app *app) *cobra.Command {
	var o buildvalidate.Options
	cmd := &cobra.Command{
		Use:   "build-validate",
		Short: "Hold the artifacts of a build against their checksums, and check its disks",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Workdir, err = app.workdir(); err != nil {
				return err
			}
			o.Runner = app.runner
			checks, err := buildvalidate.Run(cmd.Context(), o)
			return errors.Join(buildvalidate.Print(app.out, checks), err)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Build, "build", "latest", "build to check, in all architectures that lie here")
	flags.StringArrayVar(&o.Images, "image", nil, "artifact to check instead of all; may be repeated")
	flags.BoolVar(&o.NoChecksum, "no-checksum", false, "look at the size instead of the checksum")
	flags.BoolVar(&o.NoDisk, "no-fsck", false, "leave the file systems in disk images unchecked")
	return cmd
}
