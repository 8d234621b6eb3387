package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/stage/buildextend"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// extend makes images and prints where they are.
func extend(ctx context.Context, app *app, dir *workdir.Dir, o buildextend.Options) error {
	results, err := buildextend.Run(ctx, app.runner, app.log, dir, o)
	for _, result := range results {
		if result.Path != "" {
			fmt.Fprintln(app.out, result.Path)
		}
	}
	return err
}

// buildextendCommands are nosa buildextend-KIND, one for each kind of image, and
// nosa buildextend for several at once.
func buildextendCommands(app *app) []*cobra.Command {
	var several buildextend.Options
	commands := []*cobra.Command{extendCommand(app, &several, &cobra.Command{
		Use:   "buildextend KIND...",
		Short: "Make several images of a build, side by side",
		Long: `Make several images of a build, side by side and from one deployment. The kinds
are those of the commands buildextend-KIND.`,
		Args: cobra.MinimumNArgs(1),
		PreRunE: func(_ *cobra.Command, names []string) error {
			for _, name := range names {
				kind, err := image.ParseKind(name)
				if err != nil {
					return err
				}
				if !slices.Contains(several.Kinds, kind) {
					several.Kinds = append(several.Kinds, kind)
				}
			}
			return nil
		},
	})}
	for _, kind := range image.Kinds() {
		cmd := &cobra.Command{
			Use:   "buildextend-" + string(kind),
			Short: fmt.Sprintf("Make the %s image of a build", kind),
			Args:  cobra.NoArgs,
		}
		if kind == image.Live {
			cmd.Short = "Make the live ISO of a build, and what PXE serves"
			cmd.Long = liveLong
		}
		commands = append(commands, extendCommand(app, &buildextend.Options{Kinds: []image.Kind{kind}}, cmd))
	}
	return commands
}

const liveLong = `Make the live ISO of a build, which boots from CD and USB under BIOS and UEFI,
and its kernel, initramfs and root for PXE. The boot menus are those below live in
the config. The ISO can install what it carries: the build's metal image, which
must be there and uncompressed, and the metal4k image if that is. To make them
first, and all from one deployment: nosa buildextend metal metal4k live.`

func extendCommand(app *app, o *buildextend.Options, cmd *cobra.Command) *cobra.Command {
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		dir, err := app.workdir()
		if err != nil {
			return err
		}
		return extend(cmd.Context(), app, dir, *o)
	}
	cmd.Flags().StringVar(&o.Build, "build", "", "build id; default is the newest")
	cmd.Flags().BoolVar(&o.Force, "force", false, "make them anew")
	if len(o.Kinds) == 0 || o.Kinds[0] == image.Live {
		cmd.Flags().BoolVar(&o.Fast, "fast", false, "live images: larger, and made in less time")
		cmd.Flags().BoolVar(&o.Fixture, "fixture", false, "live images: short texts in place of what is large, for tests of installers")
	}
	return cmd
}
