//go:build containers_image_openpgp

package work

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/sirupsen/logrus"
	"go.podman.io/storage/pkg/reexec"

	engine "github.com/nestos/nosa-actions/internal/assembler/container/buildah"
)

// Main reads a request from standard input, does the work and returns the exit
// status. It never returns in the processes that the library makes of this
// program; nothing may come before it in main.
func Main() int {
	if reexec.Init() {
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	logrus.SetLevel(logrus.WarnLevel)
	if err := serve(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func serve(ctx context.Context) error {
	var r engine.Request
	if err := json.NewDecoder(os.Stdin).Decode(&r); err != nil {
		return fmt.Errorf("read the request (nosa-container is started by nosa-actions, not by hand): %w", err)
	}
	if err := secede(); err != nil {
		return err
	}
	s, err := open(r)
	if err != nil {
		return err
	}
	return errors.Join(s.do(ctx, r), s.close())
}

func (s *store) do(ctx context.Context, r engine.Request) error {
	var reply engine.Reply
	var err error
	switch {
	case r.Pull != nil:
		reply.Image, err = s.pull(ctx, r.Pull.Reference)
	case r.Build != nil:
		reply.Image, err = s.build(ctx, r.Build.Spec)
	case r.Run != nil:
		return s.run(ctx, r.Run.Spec)
	default:
		return errors.New("the request asks for nothing")
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(reply)
}

// secede makes the mount namespace that this process was started in its own,
// with a /proc that fits its PID namespace.
func secede() error {
	if os.Getpid() != 1 {
		return errors.New("nosa-container must be the first process of a PID namespace")
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}
