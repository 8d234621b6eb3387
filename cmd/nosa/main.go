// Command nosa builds, extends, runs and tests images of an image-based
// operating system, in stages that share a work directory. Its command line and
// files are those of nestos-assembler.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

func main() {
	if slices.Contains(os.Args[1:], "build") { // composes a tree on mounts of its own
		if err := tool.PrivateMounts(); err != nil {
			fmt.Fprintf(os.Stderr, "error: %v\n", err)
			os.Exit(1)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program, so that tests can run it inside themselves. It
// returns the exit status.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	syscall.Umask(0o022) // what is built must not depend on who builds
	a := &app{runner: tool.Host{}, log: progress.New(errOut), in: in, out: out, err: errOut}
	root := a.command()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	return a.report(ctx, err)
}

// app is what the commands share: the outside world.
type app struct {
	runner  tool.Runner
	log     *progress.Log
	in      io.Reader
	out     io.Writer
	err     io.Writer
	verbose bool
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "nosa COMMAND",
		Short: "Build, run and test images of an image-based operating system",
		Long: `nosa makes an operating system out of a config repository and RPM packages:
an OSTree commit, disk images, and tests that boot them.

	nosa init /path/to/config
	nosa fetch
	nosa build
	nosa kola run`,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRun: func(*cobra.Command, []string) {
			if a.verbose {
				a.runner = tool.Host{Trace: a.err}
			}
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help()
			return errUsage
		},
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.PersistentFlags().BoolVar(&a.verbose, "trace", false, "print each host program before it starts")
	root.AddCommand(
		initCommand(a), cleanCommand(a), fetchCommand(a), buildCommand(a),
		manifestCommand(a), runCommand(a), kolaCommand(a), kolaImageCommand(a),
		listCommand(a), metaCommand(a), tagCommand(a), pruneCommand(a), validateCommand(a), buildValidateCommand(a), inspectCommand(a),
		pushContainerCommand(a), exportRepoCommand(a),
	)
	root.AddCommand(buildextendCommands(a)...)
	root.AddCommand(compressCommands(a)...)
	root.AddCommand(releaseCommand(a), generateReleaseMetaCommand(a))
	return root
}

// errUsage ends the program with status 1 and says nothing more.
var errUsage = errors.New("usage")

// exitStatus is an error that only carries a status: what there was to say has
// been said.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// report tells a person why the command ended and returns the exit status.
func (a *app) report(ctx context.Context, err error) int {
	if status, ok := errors.AsType[exitStatus](err); ok {
		return int(status)
	}
	switch {
	case errors.Is(err, errUsage):
	case ctx.Err() != nil:
		fmt.Fprintln(a.err, "interrupted")
		return 130
	case diag.Findings(err) != nil:
		fmt.Fprintln(a.err, err) // findings begin with their place, for tools that read them
	default:
		fmt.Fprintf(a.err, "error: %v\n", err)
	}
	return 1
}

// workdir opens the current directory as work directory.
func (a *app) workdir() (*workdir.Dir, error) { return a.workdirAt("", "") }

// workdirAt opens a directory ("": the current one) as seen from an architecture
// ("": this machine's).
func (a *app) workdirAt(path, rpmArch string) (*workdir.Dir, error) {
	if path == "" {
		path = "."
	}
	machine, err := machine(rpmArch)
	if err != nil {
		return nil, err
	}
	dir, err := workdir.Open(path, machine)
	if err != nil {
		return nil, err
	}
	if schema := os.Getenv("COSA_META_SCHEMA"); schema == "none" || schema == "false" {
		dir.SkipValidation = true
	}
	return dir, nil
}

// machine is an architecture by its rpm name, or this machine's for "".
func machine(rpmArch string) (arch.Arch, error) {
	if rpmArch == "" {
		return arch.Host()
	}
	return arch.Parse(rpmArch)
}
