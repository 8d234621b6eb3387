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
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nestos/nosa-actions/internal/tool"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo is one run.
type demo struct {
	run    tool.Host
	nosa   string // path of the program
	config string // config repository
	pool   string // package repository
	dir    string // work directory
	stages []stage
}

// stage is how long one command of nosa took.
type stage struct {
	name string
	took time.Duration
}

func run(ctx context.Context) error {
	d := &demo{}
	flag.StringVar(&d.nosa, "nosa", "bin/nosa", "the nosa program")
	flag.StringVar(&d.config, "config", "examples/nestos-mini", "config repository")
	flag.StringVar(&d.pool, "pool", ".cache/pool", "package repository")
	flag.StringVar(&d.dir, "workdir", "work/demo", "work directory; what is in it is used again")
	flag.Parse()
	for _, path := range []*string{&d.nosa, &d.config, &d.pool, &d.dir} {
		abs, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = abs
	}
	if err := d.init(ctx); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"fetch"},
		{"build"},
		{"kola", "run", "--parallel", "auto", "--output-dir", filepath.Join(d.dir, "tmp/kola")},
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
	for _, dir := range []string{d.dir, repos} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("[pool]\nname=Offline packages\nbaseurl=file://%s\nenabled=1\ngpgcheck=0\n", d.pool)
	if err := os.WriteFile(filepath.Join(repos, "pool.repo"), []byte(text), 0o644); err != nil {
		return err
	}
	return d.stage(ctx, "init", "--force", "--transient", "--yumrepos", repos, d.config)
}

// stage runs one command of nosa in the work directory, as root.
func (d *demo) stage(ctx context.Context, args ...string) error {
	name := args[0]
	if len(args) > 1 && name == "kola" {
		name += " " + args[1]
	}
	fmt.Printf("\n==> nosa %s\n", name)
	cmd := tool.Cmd{Name: d.nosa, Args: args, Dir: d.dir, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Foreground: true, Grace: 20 * time.Second}
	if os.Geteuid() != 0 {
		cmd.Name, cmd.Args = "sudo", append([]string{"-n", "--", d.nosa}, args...)
	}
	begin := time.Now()
	if _, err := d.run.Run(ctx, cmd); err != nil {
		if failed, ok := errors.AsType[*tool.Error](err); ok && failed.ExitCode() > 0 {
			return fmt.Errorf("nosa %s: exit status %d; what it said is above", name, failed.ExitCode())
		}
		return err
	}
	d.stages = append(d.stages, stage{name, time.Since(begin)})
	return nil
}
