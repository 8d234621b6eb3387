package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nestos/nosa-actions/internal/stage/compress"
)

// compressCommands are nosa compress and nosa uncompress, each of which does the
// other's work with --mode.
func compressCommands(app *app) []*cobra.Command {
	pack := compressCommand(app, "compress", "Compress the images of a build")
	unpack := compressCommand(app, "uncompress", "Restore the compressed images of a build")
	unpack.Aliases = []string{"decompress"}
	return []*cobra.Command{pack, unpack}
}

func compressCommand(app *app, mode, short string) *cobra.Command {
	var o compress.Options
	cmd := &cobra.Command{
		Use:   mode,
		Short: short,
		Long: short + `, of all architectures that lie here. Images that are
exempt, such as the OCI archive, stay as they are. It may be stopped at any time; the
next run goes on where it was.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var do func(context.Context, compress.Options) ([]compress.Change, error)
			switch mode {
			case "compress":
				do = compress.Compress
			case "uncompress":
				do = compress.Uncompress
			default:
				return fmt.Errorf("--mode %s: must be compress or uncompress", mode)
			}
			var err error
			if o.Workdir, err = app.workdir(); err != nil {
				return err
			}
			o.Runner, o.Log = app.runner, app.log
			changes, err := do(cmd.Context(), o)
			for _, c := range changes {
				fmt.Fprintln(app.out, c.Path)
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Build, "build", "latest", "build that is meant")
	flags.StringArrayVar(&o.Artifacts, "artifact", nil, "artifact instead of all; may be repeated")
	flags.StringVar(&o.Compressor, "compressor", "", "gzip, xz or zstd (default what image.yaml says, or gzip)")
	flags.BoolVar(&o.Fast, "fast", false, "larger files in less time")
	flags.StringVar(&mode, "mode", mode, "compress or uncompress")
	return cmd
}
