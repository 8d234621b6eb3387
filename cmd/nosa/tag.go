package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/nestos/nosa-actions/internal/stage/tag"
)

func tagCommand(app *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tag",
		Short: "Name builds; a tagged build is never pruned",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return errors.New("say what to do: update, delete or list") },
	}
	cmd.AddCommand(tagUpdateCommand(app), tagDeleteCommand(app), tagListCommand(app))
	return cmd
}

func tagUpdateCommand(app *app) *cobra.Command {
	var o tag.Options
	cmd := &cobra.Command{
		Use:   "update --tag TAG [--build ID]",
		Short: "Set a tag, replacing one of that name",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			var err error
			if o.Workdir, err = app.workdir(); err != nil {
				return err
			}
			_, err = tag.Update(o)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Tag, "tag", "", "name of the tag")
	flags.StringVar(&o.Build, "build", "latest", "build to tag")
	flags.StringVar(&o.Description, "description", "", "what the tag is for")
	flags.BoolVar(&o.Force, "force", false, "tag a build that is not known, too")
	_ = cmd.MarkFlagRequired("tag") // fails only for a flag that is not defined
	return cmd
}

func tagDeleteCommand(app *app) *cobra.Command {
	var name string
	var all bool
	cmd := &cobra.Command{
		Use:   "delete --tag TAG | --all",
		Short: "Remove a tag or all tags",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			dir, err := app.workdir()
			if err != nil {
				return err
			}
			if all {
				return tag.DeleteAll(dir)
			}
			return tag.Delete(dir, name)
		},
	}
	cmd.Flags().StringVar(&name, "tag", "", "name of the tag")
	cmd.Flags().BoolVar(&all, "all", false, "remove all tags")
	cmd.MarkFlagsOneRequired("tag", "all")
	cmd.MarkFlagsMutuallyExclusive("tag", "all")
	return cmd
}

func tagListCommand(app *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the tags",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			dir, err := app.workdir()
			if err != nil {
				return err
			}
			return tag.List(dir, app.out)
		},
	}
}
