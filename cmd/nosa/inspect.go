package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/stage/inspect"
)

func inspectCommand(app *app) *cobra.Command {
	var o inspect.Options
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Look into an image without booting it, and find what is wrong with it",
		Long: `Look into an image without booting or mounting it, and find what is wrong with it.

IMAGE is a file (qcow2, raw or ISO) or an artifact of the newest build, such as qemu,
metal or live-iso. What is there is printed; each defect is one line, and the exit
status is 1 if there is any. An image of a build is held against the build's records.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Runner, o.Image = app.runner, args[0]
			var err error
			if o.Workdir, err = workdirUnless(app, true); err != nil {
				return err
			}
			report, err := inspect.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			if asJSON {
				text, err := report.JSON()
				if err != nil {
					return err
				}
				fmt.Fprintf(app.out, "%s", text)
			} else if err := report.Print(app.out); err != nil {
				return err
			}
			found := diag.List{Findings: report.Defects}
			if err := found.Err(); err != nil {
				return err
			}
			for _, f := range found.Sorted() {
				fmt.Fprintln(app.err, f)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, with the defects in it")
	cmd.Flags().StringVar(&o.Build, "build", "", "build `ID` that the image is held against (default the one it lies in)")
	return cmd
}
