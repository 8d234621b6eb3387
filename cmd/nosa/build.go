package main

import (
	"context"
	"errors"
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
	fetch, skipPrune bool
	tag              string
}

func buildCommand(app *app) *cobra.Command {
	var f buildFlags
	cmd := &cobra.Command{
		Use:   "build [flags] [TARGET...]",
		Short: "Compose the fetched packages into a commit, then make images",
		Long: `Compose the fetched packages into an OSTree commit, without network, and make
images of it. Targets are container (also called ostree; always made), qemu (the
default), metal and metal4k; several are made side by side.`,
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
	flags.BoolVar(&f.Strict, "strict", false, "only packages that a lockfile names")
	flags.BoolVar(&f.PrepareOnly, "prepare-only", false, "read and check all input, then stop")
	flags.StringVar(&f.Version, "version", "", "version of the commit; with --fetch and without a lockfile, take the packages of the build of this version")
	flags.StringVar(&f.Parent, "parent", "", "checksum of the commit's parent")
	flags.StringVar(&f.ParentBuild, "parent-build", "", "id of the build that this one comes after: parent of the commit, and of the package diff")
	flags.StringVarP(&f.tag, "tag", "t", "", "tag to give the build")
	flags.BoolVar(&f.DelayMetaMerge, "delay-meta-merge", false, "later stages write beside meta.json, for nosa meta --finalize")
	flags.BoolVar(&f.SkipConfigArchive, "skip-config-archive", false, "keep no copy of the config in the build")
	return cmd
}

// targets are what nosa build makes beside the commit.
var targets = []image.Kind{image.QEMU, image.Metal, image.Metal4k}

func imageKinds(names []string) ([]image.Kind, error) {
	if len(names) == 0 {
		return []image.Kind{image.QEMU}, nil
	}
	var kinds []image.Kind
	for _, name := range names {
		kind := image.Kind(name)
		switch {
		case name == "container" || name == "ostree":
		case name == "secex":
			return nil, errors.New("target secex is for IBM Z (s390x), which nosa does not build for")
		case !slices.Contains(targets, kind):
			return nil, fmt.Errorf("unknown target %q; targets are container, qemu, metal, metal4k", name)
		case !slices.Contains(kinds, kind):
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
		_, err := fetch.Run(ctx, app.runner, app.log, dir, fetch.Options{
			Strict: f.Strict, WithOverrides: true, AutoLock: f.autoLock(), AutoLockIfAny: true,
		})
		if err != nil {
			return err
		}
	}
	result, err := build.Run(ctx, app.runner, app.log, dir, f.Options)
	if err != nil || result.Prepared {
		return err
	}
	if err := f.settle(app, dir, result); err != nil {
		return err
	}
	if len(kinds) == 0 {
		return nil
	}
	return extend(ctx, app, dir, buildextend.Options{Build: result.Build.ID, Kinds: kinds})
}

// autoLock is the build whose packages a build of the same version is made of
// again.
func (f *buildFlags) autoLock() string {
	if f.Strict {
		return ""
	}
	return f.Version
}

// settle tags the build and, if it is a new one, lets older ones go.
func (f *buildFlags) settle(app *app, dir *workdir.Dir, r *build.Result) error {
	if r.Changed {
		fmt.Fprintf(app.out, "Build %s\n", r.Build.ID)
	}
	if f.tag != "" {
		if _, err := tag.Update(tag.Options{Workdir: dir, Tag: f.tag, Build: r.Build.ID}); err != nil {
			return err
		}
	}
	if f.skipPrune || !r.Changed {
		return nil
	}
	_, err := prune.Run(prune.Options{Workdir: dir, KeepLast: prune.DefaultKeep})
	return err
}
