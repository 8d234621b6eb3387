package action

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nestos/nosa-actions/internal/tool"
)

// elevate runs this program again as root and passes its exit code on. Trees
// of an operating system have files of root, device labels and attributes that
// only root may read and set; hosted runners allow sudo without a password.
func elevate(ctx context.Context, s *Step) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	return elevateWith(ctx, tool.Host{}, self)
}

func elevateWith(ctx context.Context, host tool.Runner, self string) error {
	if _, err := host.Run(ctx, tool.Cmd{Name: "sudo", Args: []string{"-n", "true"}}); err != nil {
		return fmt.Errorf("this step needs root; run the job as root or allow sudo without a password: %w", err)
	}
	held, hold, err := os.Pipe()
	if err != nil {
		return err
	}
	defer hold.Close()
	// The runner can stop this process but not one of root; so this one waits
	// for the cancel and passes it on with root's rights. It must not be tied
	// to the context, which would try to kill without them.
	p, err := host.Start(context.WithoutCancel(ctx), tool.Cmd{
		Name: "sudo", Args: []string{"-n", "-E", "--", self}, Env: []string{lifelineVariable + "=stdin"},
		Stdin: held, Stdout: os.Stdout, Stderr: os.Stderr,
	})
	_ = held.Close()
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- p.Wait() }()
	select {
	case err = <-done:
	case <-ctx.Done():
		err = stop(host, p.Pid(), done)
	}
	var failed *tool.Error
	if errors.As(err, &failed) && failed.ExitCode() > 0 {
		return &reported{code: failed.ExitCode()}
	}
	return err
}

// lifelineVariable tells the process below sudo that its standard input ends when
// the one above is gone. Nothing else would tell it of a kill: sudo stays.
const lifelineVariable = "NOSA_LIFELINE"

// heed ends the context when the process above has gone.
func heed(ctx context.Context, lookup func(string) (string, bool), input io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if how, _ := lookup(lifelineVariable); how == "stdin" {
		go func() {
			_, _ = io.Copy(io.Discard, input)
			cancel()
		}()
	}
	return ctx, cancel
}

// stop asks sudo to end its program and, should that not help, kills it.
func stop(host tool.Runner, pid int, done <-chan error) error {
	for _, signal := range []string{"-TERM", "-KILL"} {
		// The context has ended already; this must be done all the same.
		_, err := host.Run(context.Background(), tool.Cmd{Name: "sudo", Args: []string{"-n", "kill", signal, fmt.Sprint(pid)}})
		if err != nil {
			return err
		}
		select {
		case err := <-done:
			return err
		case <-time.After(20 * time.Second):
		}
	}
	return errors.New("the program did not end")
}
