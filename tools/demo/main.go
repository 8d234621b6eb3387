// Command demo runs the whole pipeline on a config repository with the offline
// package pool, as a maintainer would at a terminal: init, fetch, build, boot
// and test. It ends with a table of what was made.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nestos/nosa-actions/internal/assembler"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/tools/command"
	"github.com/nestos/nosa-actions/tools/offline"
)

func main() { command.Main("demo", run) }

// demo is one run.
type demo struct {
	offline.Setup
	host   tool.Host
	dir    string               // work directory
	image  *assembler.Container // where stages run; nil: on this machine
	stages []stage
}

// stage is how long one command of nosa took.
type stage struct {
	name string
	took time.Duration
}

func run(ctx context.Context) error {
	d := &demo{}
	flag.StringVar(&d.dir, "workdir", "work/demo", "work directory; what is in it is used again")
	image := flag.String("assembler", "host", "where stages run: host, or an image")
	engine := flag.String("engine", "buildah", "what runs the image: buildah or podman")
	if err := d.ParseFlags(&d.dir); err != nil {
		return err
	}
	if err := d.choose(*image, *engine); err != nil {
		return err
	}
	if err := d.init(ctx); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"fetch"},
		{"build"},
		// Without those that reboot, which take twice as long.
		{"kola", "run", "--parallel", "auto", "--tag", "!reboot", "--output-dir", "tmp/kola"},
	} {
		if err := d.stage(ctx, args...); err != nil {
			return err
		}
	}
	return d.summary(os.Stdout)
}

// init makes the work directory, unless it is there from an earlier run.
func (d *demo) init(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(d.dir, "builds")); err == nil {
		return nil
	}
	repos := filepath.Join(filepath.Dir(d.dir), "yumrepos")
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return err
	}
	if err := d.WriteRepo(repos); err != nil {
		return err
	}
	return d.stage(ctx, "init", "--force", "--transient", "--yumrepos", repos, d.Config)
}

// stage runs one command of nosa in the work directory, as root.
func (d *demo) stage(ctx context.Context, args ...string) error {
	name := args[0]
	if len(args) > 1 && name == "kola" {
		name += " " + args[1]
	}
	fmt.Printf("\n==> nosa %s\n", name)
	cmd := tool.Cmd{Name: d.Nosa, Args: args, Dir: d.dir, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Foreground: true, Grace: 20 * time.Second}
	if os.Geteuid() != 0 {
		cmd.Name, cmd.Args = "sudo", append([]string{"-n", "--", d.Nosa}, args...)
	}
	begin := time.Now()
	if err := d.do(ctx, cmd, args); err != nil {
		var failed interface{ ExitCode() int }
		if errors.As(err, &failed) && failed.ExitCode() > 0 {
			return fmt.Errorf("nosa %s: exit status %d; what it said is above", name, failed.ExitCode())
		}
		return err
	}
	d.stages = append(d.stages, stage{name, time.Since(begin)})
	return nil
}
