package main

import (
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nestos/nosa-actions/internal/arch"
)

// kolaWrapper is what nosa kola does without a subcommand: run all tests, or
// what its own flags ask for.
type kolaWrapper struct {
	app       *app
	run       *cobra.Command
	upgrades  bool
	scenarios bool
	insecure  bool
}

func (w *kolaWrapper) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&w.upgrades, "upgrades", false, "update the build before to this one, as run-upgrade does")
	flags.BoolVar(&w.scenarios, "basic-qemu-scenarios", false, "run the basic test with an NVMe disk and under each firmware")
	flags.BoolVar(&w.insecure, "skip-secure-boot", false, "not under Secure Boot")
	cmd.MarkFlagsMutuallyExclusive("upgrades", "basic-qemu-scenarios")
}

func (w *kolaWrapper) execute(cmd *cobra.Command) error {
	switch {
	case w.upgrades:
		var args []string
		cmd.Flags().Visit(func(f *pflag.Flag) {
			switch f.Name {
			case "build", "output-dir", "qemu-image", "qemu-memory", "qemu-size", "extend-timeout-percentage", "parallel":
				args = append(args, "--"+f.Name+"="+f.Value.String())
			}
		})
		return again(cmd, kolaUpgradeCommand(w.app), args...)
	case w.scenarios:
		return w.basicScenarios(cmd)
	default:
		return w.run.RunE(cmd, nil)
	}
}

// basicScenarios runs the basic test in several guests, each with logs of its
// own, and tells of all before it fails.
func (w *kolaWrapper) basicScenarios(cmd *cobra.Command) error {
	host, err := arch.Host()
	if err != nil {
		return err
	}
	out, _ := cmd.Flags().GetString("output-dir")
	if out == "" {
		out = filepath.Join("tmp", "kola")
	}
	runs := map[string][]string{"basic": nil}
	if host == arch.X86_64 {
		runs = map[string][]string{"nvme": {"--qemu-nvme"}, "uefi": {"--qemu-firmware=uefi"}}
		if !w.insecure {
			runs["uefi-secure"] = []string{"--qemu-firmware=uefi-secure", "--qemu-memory=1536"}
		}
	}
	build, _ := cmd.Flags().GetString("build")
	var failed error
	for _, name := range []string{"basic", "nvme", "uefi", "uefi-secure"} {
		flags, ok := runs[name]
		if !ok {
			continue
		}
		args := append([]string{"--build=" + build, "--output-dir=" + filepath.Join(out, name), "basic"}, flags...)
		err := again(cmd, kolaRunCommand(w.app), args...)
		if _, failedTests := errors.AsType[exitStatus](err); err != nil && !failedTests {
			return err
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// again runs another command in place of the one that the user gave.
func again(cmd, other *cobra.Command, args ...string) error {
	other.SilenceUsage, other.SilenceErrors = true, true
	other.SetArgs(args)
	return other.ExecuteContext(cmd.Context())
}

// kolaImageCommand is upstream's kola-run: kola run for an image by its file.
func kolaImageCommand(app *app) *cobra.Command {
	cmd := kolaRunCommand(app)
	cmd.Use = "kola-run {--qemu IMAGE | --iso ISO} [PATTERN...]"
	cmd.Short = "test an image by booting it, given its file"
	flags := cmd.Flags()
	for short, long := range map[string]string{"qemu": "qemu-image", "iso": "qemu-iso"} {
		same := *flags.Lookup(long)
		same.Name, same.Shorthand = short, ""
		flags.AddFlag(&same)
	}
	cmd.MarkFlagsOneRequired("qemu", "iso")
	cmd.MarkFlagsMutuallyExclusive("qemu", "iso")
	return cmd
}
