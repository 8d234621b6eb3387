package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nestos/nosa-actions/internal/stage/releasemeta"
)

func generateReleaseMetaCommand(app *app) *cobra.Command {
	var o releasemeta.Options
	var workdir, distro string
	cmd := &cobra.Command{
		Use:   "generate-release-meta",
		Short: "Write release.json of a build",
		Long: `Write release.json of a build: the addresses and checksums of the images of all
architectures that lie here, for installers and download pages. A file that is there
is extended; it is an error if the two contradict each other.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if distro != "fcos" && distro != "rhcos" {
				return fmt.Errorf("--distro %s: must be fcos or rhcos", distro)
			}
			var err error
			if len(o.URLs) == 0 {
				if o.Workdir, err = app.workdirAt(workdir, ""); err != nil {
					return err
				}
			}
			path, err := releasemeta.Run(cmd.Context(), o)
			if err == nil {
				fmt.Fprintln(app.out, path)
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&workdir, "workdir", ".", "work directory")
	flags.StringVar(&o.Build, "build-id", "latest", "build that is meant")
	flags.StringVar(&o.Stream, "stream-name", "", "name of the stream (default the branch of the config)")
	flags.StringVar(&o.BaseURL, "stream-baseurl", "", "address below which STREAM/builds lies")
	flags.StringVar(&o.Output, "output", "", "file to write (default release.json of the build)")
	flags.StringArrayVar(&o.URLs, "url", nil, "address of a meta.json instead of a build here; may be repeated")
	flags.BoolVar(&o.NoSignatures, "no-signatures", false, "there are no signatures beside the images")
	flags.StringVar(&distro, "distro", "fcos", "fcos or rhcos, for callers that give it; the output is the same")
	return cmd
}
