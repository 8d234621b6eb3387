// Rpmpool makes an RPM repository from Debian packages: the offline package
// source of the demo and the tests. See README.md.
package main

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
)

//go:embed packages.txt
var defaultPackages string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "rpmpool:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	begin := time.Now()
	o, err := parse(args)
	if err != nil {
		return err
	}
	res, err := build(ctx, tool.Host{}, progress.New(os.Stderr), o)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d packages, %.0f MB, %.1f s (%d converted, %d cached)\n",
		o.Output, res.Packages, float64(res.Bytes)/1e6, time.Since(begin).Seconds(), res.Converted, res.Cached)
	return nil
}

// parse reads the command line; the paths it returns are absolute.
func parse(args []string) (options, error) {
	var o options
	var list string
	flags := flag.NewFlagSet("rpmpool", flag.ContinueOnError)
	flags.StringVar(&o.Output, "output", "", "`directory` of the repository (required)")
	flags.StringVar(&o.Cache, "cache", "", "`directory` that keeps downloads and conversions (default: OUTPUT-cache)")
	flags.StringVar(&list, "packages", "", "`file` with one Debian package a line (default: a bootable set)")
	flags.IntVar(&o.Jobs, "jobs", runtime.NumCPU(), "conversions at a time")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	switch {
	case o.Output == "":
		return options{}, errors.New("--output DIRECTORY is required")
	case o.Jobs < 1:
		return options{}, errors.New("--jobs must be at least 1")
	case flags.NArg() > 0:
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.Cache == "" {
		o.Cache = strings.TrimRight(o.Output, "/") + "-cache"
	}
	for _, dir := range []*string{&o.Output, &o.Cache} {
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return options{}, err
		}
		*dir = abs
	}
	text := defaultPackages
	if list != "" {
		data, err := os.ReadFile(list)
		if err != nil {
			return options{}, err
		}
		text = string(data)
	}
	if o.Packages = words(text); len(o.Packages) == 0 {
		return options{}, fmt.Errorf("%s names no package", list)
	}
	return o, nil
}

// words are the entries of a package list, without comments and empty lines.
func words(list string) []string {
	var found []string
	lines := bufio.NewScanner(strings.NewReader(list))
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		found = append(found, strings.Fields(line)...)
	}
	return found
}
