package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/nestos/nosa-actions/internal/kola"
	"github.com/nestos/nosa-actions/internal/stage/test"
)

// onlyWarned is the exit status for failures that only warn, where that is
// asked for; 77 is the usual status of a skipped test.
const onlyWarned = 77

func kolaCommand(app *app) *cobra.Command {
	runs := kolaRunCommand(app)
	cmd := &cobra.Command{
		Use:   "kola",
		Short: "test an image by booting it",
		Args:  cobra.NoArgs,
	}
	cmd.Flags().AddFlagSet(runs.Flags())
	w := kolaWrapper{app: app, run: runs}
	w.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return w.execute(cmd) }
	cmd.AddCommand(runs, kolaListCommand(app), kolaUpgradeCommand(app), kolaTestISOCommand(app))
	return cmd
}

func kolaRunCommand(app *app) *cobra.Command {
	var o test.Options
	var parallel string
	var butane []string
	var exit77 bool
	var more kolaFlags
	cmd := &cobra.Command{
		Use:   "run [PATTERN...]",
		Short: "run the tests whose names fit the patterns, or all",
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.Parallel, err = parseParallel(parallel); err != nil {
				return err
			}
			if err := more.apply(app, &o); err != nil {
				return err
			}
			dir, err := workdirUnless(app, o.Image+o.ISO != "")
			if err != nil {
				return err
			}
			o.Patterns, o.Terminal = args, app.out
			o.AppendConfigs = append(o.AppendConfigs, butane...)
			result, err := test.Run(cmd.Context(), app.runner, app.log, dir, o)
			if err != nil {
				return err
			}
			return conclude(app, result, exit77)
		},
	}
	flags := cmd.Flags()
	selectFlags(cmd, &o)
	flags.StringVarP(&parallel, "parallel", "j", "1", "guests at a time, or auto: as many as there is room for")
	flags.StringVar(&o.Build, "build", "", "build `ID` to test (default the newest)")
	flags.StringVar(&o.Image, "qemu-image", "", "disk image `FILE` to test")
	flags.StringVar((*string)(&o.Firmware), "qemu-firmware", "", "bios, uefi or uefi-secure (default bios, on aarch64 uefi)")
	flags.IntVar(&o.MemoryMiB, "qemu-memory", 0, "at least so many `MB` of memory")
	flags.IntVar(&o.DiskGiB, "qemu-size", 0, "grow the disk to `GB`")
	flags.StringVar(&o.OutputDir, "output-dir", "", "`DIR` for logs and reports (default tmp/kola)")
	flags.StringVar(&o.TAPFile, "tapfile", "", "also write TAP to `FILE`")
	flags.IntVar(&o.ExtendPercent, "extend-timeout-percentage", 0, "lengthen time-outs by `N` percent")
	flags.StringArrayVar(&o.AppendConfigs, "append-ignition", nil, "Ignition config `FILE` to merge into every test's")
	flags.StringArrayVar(&butane, "append-butane", nil, "Butane config `FILE` (.bu) to merge into every test's")
	flags.BoolVar(&exit77, "on-warn-failure-exit-77", false, "exit status 77 if only tests failed whose failure warns")
	more.add(flags, &o)
	return cmd
}

// selectFlags are the flags that choose tests.
func selectFlags(cmd *cobra.Command, o *test.Options) {
	flags := cmd.Flags()
	flags.StringVarP(&o.Distro, "distro", "b", "nestos", "distribution whose tests run")
	flags.StringVarP(&o.Platform, "platform", "p", "", "platform to test on: qemu or qemu-iso (default qemu; qemu-iso with an ISO)")
	flags.StringArrayVar(&o.Tags, "tag", nil, "only tests with `TAG`, or with !TAG without it")
	flags.StringArrayVar(&o.Deny, "denylist-test", nil, "leave out tests that fit `GLOB`")
	flags.StringArrayVarP(&o.ExtTests, "exttest", "E", nil, "`DIR` with external tests (default .)")
	flags.BoolVar(&o.NoNet, "no-net", false, "leave out tests that need the internet")
}

// conclude prints the last line and chooses the exit status.
func conclude(app *app, result test.Result, exit77 bool) error {
	if len(result.Report.Tests) == 0 {
		if len(result.Notes) == 0 {
			return errors.New("no test fits")
		}
		fmt.Fprintln(app.out, "all tests are on the denylist")
		return nil
	}
	result.Report.Summary(app.out, result.OutputDir)
	switch result.Report.Verdict {
	case kola.Fail:
		return exitStatus(1)
	case kola.Warn:
		if exit77 {
			return exitStatus(onlyWarned)
		}
	}
	return nil
}

func parseParallel(text string) (int, error) {
	if text == "auto" {
		return kola.Auto, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("--parallel %s: must be a number from 1 or auto", text)
	}
	return n, nil
}

func kolaListCommand(app *app) *cobra.Command {
	var o test.Options
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list [PATTERN...]",
		Short: "list tests",
		RunE: func(_ *cobra.Command, args []string) error {
			dir, err := workdirUnless(app, true)
			if err != nil {
				return err
			}
			o.Patterns = args
			selection, err := test.List(dir, o)
			if err != nil {
				return err
			}
			if asJSON {
				return listJSON(app, selection)
			}
			return listTable(app, selection)
		},
	}
	selectFlags(cmd, &o)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func listTable(app *app, selection kola.Selection) error {
	w := tabwriter.NewWriter(app.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tPLATFORMS\tARCHITECTURES\tDISTROS\tTAGS")
	for _, t := range selection.Tests {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", t.Name, orAll(t.Meta.Platforms), orAll(t.Meta.Architectures),
			orAll(t.Meta.Distros), strings.Join(t.Tags(), " "))
	}
	return w.Flush()
}

func orAll(o kola.Only) string {
	if len(o.Names) == 0 {
		return "all"
	}
	return o.String()
}

func listJSON(app *app, selection kola.Selection) error {
	type item struct {
		Name          string
		Platforms     []string
		Architectures []string
		Distros       []string
		Tags          []string
		Description   string
	}
	items := []item{}
	for _, t := range selection.Tests {
		items = append(items, item{t.Name, strings.Fields(t.Meta.Platforms.String()), strings.Fields(t.Meta.Architectures.String()),
			strings.Fields(t.Meta.Distros.String()), t.Tags(), t.Meta.Description})
	}
	e := json.NewEncoder(app.out)
	e.SetIndent("", "  ")
	return e.Encode(items)
}
