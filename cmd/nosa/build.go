package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/stage/build"
	"github.com/nestos/nosa-actions/internal/stage/buildextend"
	"github.com/nestos/nosa-actions/internal/stage/fetch"
	"github.com/nestos/nosa-actions/internal/stage/prune"
	"github.com/nestos/nosa-actions/internal/stage/tag"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// buildFlags are the flags of nosa build beside those of its stage.
type buildFlags struct {
	build.Options
	fetch, strict, skipPrune bool
	tag                      string
}

func buildCommand(app *app) *cobra.Command {
	var f buildFlags
	cmd := &cobra.Command{
		Use:   "build [flags] [TARGET...]",
		Short: "Compose the fetched packages into a commit, then make images",
		Long: `Compose the fetched packages into an OSTree commit, without network, and make
images of it. Targets are container (also called ostree; always made), qemu (the
default), metal and metal4k.`,
		RunE: func(cmd *cobra.Command, targets []string) error {
			kinds, err := imageKinds(targets)
			if err != nil {
				return err
			}
			return f.run(cmd.Context(), app, kinds)
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&f.Force, "force", "f", false, "compose even if nothing has changed")
	flags.BoolVar(&f.Force, "force-nocache", false, "the same as --force")
	flags.BoolVar(&f.ForceImage, "force-image", false, "a new build even if the images would be the same")
	flags.BoolVar(&f.skipPrune, "skip-prune", false, "keep all older builds")
	flags.BoolVarP(&f.fetch, "fetch", "F", false, "fetch first")
	flags.BoolVar(&f.strict, "strict", false, "with --fetch: only packages that a lockfile names")
	flags.StringVar(&f.Version, "version", "", "version of the commit")
	flags.StringVar(&f.Parent, "parent", "", "checksum of the commit's parent")
	flags.StringVarP(&f.tag, "tag", "t", "", "tag to give the build")
	flags.BoolVar(&f.DelayMetaMerge, "delay-meta-merge", false, "later stages write beside meta.json, for nosa meta --finalize")
	flags.BoolVar(&f.SkipConfigArchive, "skip-config-archive", false, "keep no copy of the config in the build")
	return cmd
}

func imageKinds(targets []string) ([]image.Kind, error) {
	if len(targets) == 0 {
		return []image.Kind{image.QEMU}, nil
	}
	var kinds []image.Kind
	for _, target := range targets {
		if target == "container" || target == "ostree" {
			continue
		}
		kind, err := image.ParseKind(target)
		if err != nil {
			return nil, fmt.Errorf("unknown target %q; targets are container, qemu, metal, metal4k", target)
		}
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds, nil
}

func (f *buildFlags) run(ctx context.Context, app *app, kinds []image.Kind) error {
	dir, err := app.workdir()
	if err != nil {
		return err
	}
	if f.fetch {
		if _, err := fetch.Run(ctx, app.runner, app.log, dir, fetch.Options{Strict: f.strict}); err != nil {
			return err
		}
	}
	result, err := build.Run(ctx, app.runner, app.log, dir, f.Options)
	if err != nil {
		return err
	}
	if result.Changed {
		if err := f.settle(ctx, app, dir, result.Build); err != nil {
			return err
		}
	}
	for _, kind := range kinds {
		if err := extend(ctx, app, dir, buildextend.Options{Build: result.Build.ID, Kind: kind}); err != nil {
			return err
		}
	}
	return nil
}

// settle tags the new build and lets older ones go.
func (f *buildFlags) settle(ctx context.Context, app *app, dir *workdir.Dir, b workdir.Build) error {
	fmt.Fprintf(app.out, "Build %s\n", b.ID)
	if f.tag != "" {
		if _, err := tag.Update(tag.Options{Workdir: dir, Tag: f.tag, Build: b.ID}); err != nil {
			return err
		}
	}
	if f.skipPrune {
		return nil
	}
	_, err := prune.Run(ctx, prune.Options{Workdir: dir, Runner: app.runner, KeepLast: prune.DefaultKeep})
	return err
}

func extend(ctx context.Context, app *app, dir *workdir.Dir, o buildextend.Options) error {
	result, err := buildextend.Run(ctx, app.runner, app.log, dir, o)
	if err != nil {
		return err
	}
	fmt.Fprintln(app.out, result.Path)
	return nil
}

// buildextendCommands are nosa buildextend-KIND, one for each kind of image.
func buildextendCommands(app *app) []*cobra.Command {
	var commands []*cobra.Command
	for _, kind := range image.Kinds() {
		o := buildextend.Options{Kind: kind}
		cmd := &cobra.Command{
			Use:   "buildextend-" + string(kind),
			Short: fmt.Sprintf("Make the %s image of a build", kind),
			Args:  cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				dir, err := app.workdir()
				if err != nil {
					return err
				}
				return extend(cmd.Context(), app, dir, o)
			},
		}
		cmd.Flags().StringVar(&o.Build, "build", "", "build id; default is the newest")
		cmd.Flags().BoolVar(&o.Force, "force", false, "make it anew")
		commands = append(commands, cmd)
	}
	return commands
}
