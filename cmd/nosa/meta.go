package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nestos/nosa-actions/internal/stage/meta"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// metaFlags are the flags of nosa meta; exactly one of the actions is given.
type metaFlags struct {
	path, build, arch, schema string
	skipValidation            bool

	get, getValue, set, setInt []string
	setBool                    string
	yes, no                    bool
	artifactJSON, artifact     string
	finalize, noClean, dump    bool
	imagePath                  string
}

// metaActions are the flags of which one says what to do.
var metaActions = []string{
	"get", "get-value", "set", "set-int", "set-bool", "artifact-json", "finalize", "dump", "image-path",
}

func metaCommand(app *app) *cobra.Command {
	var f metaFlags
	cmd := &cobra.Command{
		Use:   "meta ACTION",
		Short: "Read or change the metadata of a build",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := f.open(app)
			if err != nil {
				return err
			}
			return f.act(app, b, cmd.Flags())
		},
	}
	f.define(cmd.Flags())
	cmd.MarkFlagsOneRequired(metaActions...)
	cmd.MarkFlagsMutuallyExclusive(metaActions...)
	cmd.MarkFlagsMutuallyExclusive("true", "false")
	return cmd
}

func (f *metaFlags) define(flags *pflag.FlagSet) {
	flags.StringVar(&f.path, "workdir", "", "work directory instead of the current one")
	flags.StringVar(&f.build, "build", "latest", "build that is meant")
	flags.StringVar(&f.arch, "arch", "", "architecture instead of this machine's")
	flags.StringVar(&f.schema, "schema", "", `"none" or "false" turns the checks off; the schema itself is built in`)
	flags.BoolVar(&f.skipValidation, "skip-validation", false, "do not check the metadata")

	flags.StringArrayVar(&f.get, "get", nil, "print PATH: VALUE")
	flags.StringArrayVar(&f.getValue, "get-value", nil, "print the value at a path")
	flags.StringArrayVar(&f.set, "set", nil, "set PATH=TEXT; may be repeated")
	flags.StringArrayVar(&f.setInt, "set-int", nil, "set PATH=NUMBER; may be repeated")
	flags.StringVar(&f.setBool, "set-bool", "", "set the value at a path to what --true or --false says")
	flags.BoolVar(&f.yes, "true", false, "value for --set-bool")
	flags.BoolVar(&f.no, "false", false, "value for --set-bool")
	flags.StringVar(&f.artifactJSON, "artifact-json", "", "take over the keys of a JSON file")
	flags.StringVar(&f.artifact, "artifact", "", "artifact that --artifact-json is about")
	flags.BoolVar(&f.finalize, "finalize", false, "merge the metadata of all stages after a delayed merge")
	flags.BoolVar(&f.noClean, "no-clean", false, "keep the files that --finalize merged")
	flags.BoolVar(&f.dump, "dump", false, "print all")
	flags.StringVar(&f.imagePath, "image-path", "", "print the path of an artifact")
}

func (f *metaFlags) open(app *app) (workdir.Build, error) {
	dir, err := app.workdirAt(f.path, f.arch)
	if err != nil {
		return workdir.Build{}, err
	}
	if f.skipValidation || f.schema == "none" || f.schema == "false" {
		dir.SkipValidation = true
	}
	return dir.Build(f.build)
}

func (f *metaFlags) act(app *app, b workdir.Build, flags *pflag.FlagSet) error {
	switch {
	case flags.Changed("get"):
		return f.print(app, b, f.get, true)
	case flags.Changed("get-value"):
		return f.print(app, b, f.getValue, false)
	case flags.Changed("set"):
		return setAll(b, f.set, meta.ParseSetting)
	case flags.Changed("set-int"):
		return setAll(b, f.setInt, meta.ParseIntSetting)
	case flags.Changed("set-bool"):
		if f.yes == f.no {
			return errors.New("--set-bool needs --true or --false")
		}
		return meta.Set(b, []meta.Setting{{Path: f.setBool, Value: f.yes}})
	case flags.Changed("artifact-json"):
		return meta.AddArtifact(b, f.artifact, f.artifactJSON)
	case f.finalize:
		return f.finish(app, b)
	case f.dump:
		return meta.Dump(b, app.out)
	case flags.Changed("image-path"):
		path, err := meta.ImagePath(b, f.imagePath)
		if err == nil {
			fmt.Fprintln(app.out, path)
		}
		return err
	}
	return errors.New("nothing to do; say one of --" + strings.Join(metaActions, ", --"))
}

func (f *metaFlags) print(app *app, b workdir.Build, paths []string, name bool) error {
	for _, path := range paths {
		value, err := meta.Get(b, path)
		if err != nil {
			return err
		}
		if name {
			value = path + ": " + value
		}
		fmt.Fprintln(app.out, value)
	}
	return nil
}

func setAll(b workdir.Build, pairs []string, parse func(string) (meta.Setting, error)) error {
	var settings []meta.Setting
	for _, pair := range pairs {
		s, err := parse(pair)
		if err != nil {
			return err
		}
		settings = append(settings, s)
	}
	return meta.Set(b, settings)
}

func (f *metaFlags) finish(app *app, b workdir.Build) error {
	merged, delayed, err := b.Finalize(f.noClean)
	if !delayed && err == nil {
		fmt.Fprintln(app.out, "Merging is not delayed; nothing to finalize")
	}
	for _, name := range merged {
		fmt.Fprintln(app.out, "Merged", name)
	}
	return err
}
