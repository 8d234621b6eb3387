package assembler

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Host runs stages on this machine.
type Host struct {
	Runner  tool.Runner
	Binary  string // path of nosa
	Workdir string // absolute; the stage's current directory
	// Log receives the stage's output live, line by line without line breaks.
	Log func(line string)
	// Environ is where the environment is taken from; nil: the process's own.
	// A stage gets only the variables that it needs, never all of them.
	Environ []string
}

// Run implements Assembler.
func (h Host) Run(ctx context.Context, stage Stage) ([]diag.Finding, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	scan := &scanner{config: filepath.Join(h.Workdir, "src", "config"), log: h.Log}
	return follow(ctx, stage, scan, func(stdout, stderr io.Writer) error { return h.start(ctx, stage, stdout, stderr) })
}

func (h Host) check() error {
	if !filepath.IsAbs(h.Workdir) {
		return fmt.Errorf("work directory %q is not absolute", h.Workdir)
	}
	info, err := os.Stat(h.Binary)
	if err != nil {
		return fmt.Errorf("find nosa: %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("%s is not a program", h.Binary)
	}
	return nil
}

// start runs the stage through env, which drops the whole environment but for
// what is named: what a job holds in tokens must not reach what a config runs.
func (h Host) start(ctx context.Context, stage Stage, stdout, stderr io.Writer) error {
	args := append([]string{"-i", "--"}, hostEnvironment(h.environ())...)
	args = append(args, h.Binary, stage.Name)
	_, err := h.Runner.Run(ctx, tool.Cmd{
		Name: "env", Args: append(args, stage.Args...), Dir: h.Workdir, Stdout: stdout, Stderr: stderr,
	})
	return err
}

func (h Host) environ() []string {
	if h.Environ != nil {
		return h.Environ
	}
	return os.Environ()
}
