package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/nestos/nosa-actions/internal/stage/validate"
)

func validateCommand(app *app) *cobra.Command {
	var o validate.Options
	var rpmArch string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "validate [flags] [DIR]",
		Short: "Check a config repository without fetching or building",
		Long: `Check all files of a config repository that fetch, build and kola read, and tell
everything that is wrong with them at once: manifests and images of all variants,
platforms.yaml, .repo files, lockfiles, overlay.d, kola tests and the denylist.
Needs no privileges and no network.

DIR is a config repository; without it, that of the work directory in the current
directory is checked. The exit status is 1 if there are errors.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.Arch, err = machine(rpmArch); err != nil {
				return err
			}
			locateConfig(&o, args)
			result, err := validate.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			if asJSON {
				err = result.JSON(app.out, o.Dir)
			} else {
				err = result.Print(app.out)
			}
			if err == nil && result.Errors() > 0 {
				return exitStatus(1)
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&rpmArch, "arch", "", "architecture instead of this machine's")
	flags.StringArrayVarP(&o.Variants, "variant", "V", nil, "check manifest-`VARIANT`.yaml and its image only, or default; may be repeated")
	flags.StringVar(&o.YumRepos, "yumrepos", "", "`DIR` with further .repo files (default src/yumrepos of a work directory)")
	flags.BoolVar(&asJSON, "json", false, "print JSON, with files relative to the config repository")
	return cmd
}

// locateConfig finds the config repository: the one named, that of the work
// directory, or the current directory where it is one itself.
func locateConfig(o *validate.Options, args []string) {
	if len(args) > 0 {
		o.Dir = args[0]
		return
	}
	o.Dir = filepath.Join("src", "config")
	if _, err := os.Stat(o.Dir); err != nil {
		if _, err := os.Stat("manifest.yaml"); err == nil {
			o.Dir = "."
			return
		}
	}
	o.Whole = true
	if o.YumRepos == "" {
		o.YumRepos = filepath.Join("src", "yumrepos")
	}
}
