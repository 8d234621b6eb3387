package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	stageinit "github.com/nestos/nosa-actions/internal/stage/init"
)

func initCommand(app *app) *cobra.Command {
	var o stageinit.Options
	cmd := &cobra.Command{
		Use:   "init [flags] GITCONFIG [SUBDIR]",
		Short: "Make a work directory for a config repository (URL or absolute path)",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.Dir, err = os.Getwd(); err != nil {
				return err
			}
			o.Config = args[0]
			if len(args) > 1 {
				o.Subdir = args[1]
			}
			for _, path := range []*string{&o.Config, &o.YumRepos} {
				// git reads "./config" as a path too, but a link is what is meant.
				if strings.HasPrefix(*path, ".") {
					if *path, err = filepath.Abs(*path); err != nil {
						return err
					}
				}
			}
			dir, err := stageinit.Run(cmd.Context(), app.runner, app.log, o)
			if err != nil {
				return err
			}
			fmt.Fprintf(app.out, "Initialized %s as a work directory of %s\n", dir.Path, o.Config)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&o.Force, "force", "f", false, "also in a directory that is not empty")
	flags.BoolVar(&o.Transient, "transient", false, "the work is thrown away: do not flush it to the disk")
	flags.StringVarP(&o.Branch, "branch", "b", "", "branch of GITCONFIG")
	flags.StringVarP(&o.Commit, "commit", "c", "", "commit of GITCONFIG")
	flags.StringVarP(&o.Variant, "variant", "V", "", "build manifest-VARIANT.yaml and image-VARIANT.yaml")
	flags.StringVar(&o.YumRepos, "yumrepos", "", "URL or absolute path of a directory with further .repo files")
	flags.StringVar(&o.YumBranch, "yumrepos-branch", "", "branch of --yumrepos")
	return cmd
}
