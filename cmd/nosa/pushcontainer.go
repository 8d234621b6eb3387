package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nestos/nosa-actions/internal/image/oci"
	"github.com/nestos/nosa-actions/internal/stage/pushcontainer"
)

func pushContainerCommand(app *app) *cobra.Command {
	var o pushcontainer.Options
	var format string
	cmd := &cobra.Command{
		Use:   "push-container [flags] NAME[:TAG]",
		Short: "Push the commit of a build to a container registry",
		Long: `Push the OCI archive of a build to a container registry, from which bootc and
rpm-ostree install and update. Layers that the registry has are not sent again. The
tag is BUILDID-ARCH if none is given. meta.json then says under base-oscontainer
where the image is.

Other transports are dir, oci-archive and docker-archive, whose NAME is a path, and
podman and docker, which need skopeo.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := app.workdir()
			if err != nil {
				return err
			}
			o.Name, o.Format = args[0], oci.Format(format)
			result, err := pushcontainer.Run(cmd.Context(), app.runner, app.log, dir, o)
			if err != nil {
				return err
			}
			if result.Digest == "" {
				fmt.Fprintln(app.out, result.Reference)
				return nil
			}
			name, _ := oci.SplitTag(result.Reference)
			fmt.Fprintf(app.out, "%s\n%s@%s\n", result.Reference, name, result.Digest)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Build, "build", "", "build that is meant (default the newest)")
	flags.StringVar(&o.AuthFile, "authfile", "", "credentials (default $REGISTRY_AUTH_FILE, or where podman and docker keep theirs)")
	flags.StringVar(&format, "format", string(oci.OCI), "format of the manifest: oci or v2s2")
	flags.StringVar(&o.TagSuffix, "tag-suffix", "", "added to the default tag")
	flags.StringVar(&o.Image, "image", "ostree", "artifact to push: ostree or extensions-container")
	flags.StringVarP(&o.Repo, "repo", "d", "", "registry and namespace, put before NAME")
	flags.BoolVar(&o.NoTLSVerify, "no-tls-verify", false, "accept any certificate, and a registry without TLS")
	flags.StringVar(&o.Transport, "transport", pushcontainer.Registry, "where to: registry, dir, oci-archive, docker-archive, podman or docker")
	flags.BoolVar(&o.Index, "index", false, "push all architectures of the build that are here, and one tag for all (default BUILDID)")
	return cmd
}
