package kola

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/machine"
)

// settlePause is the time between two looks at a system that is still starting.
const settlePause = time.Second

// waitForStartup waits until systemd has no more jobs of the start to do.
// Whether all went well, failedUnits tells.
func waitForStartup(ctx context.Context, s *machine.SSH) error {
	for {
		out, err := s.Run(ctx, "systemctl is-system-running", nil)
		if err != nil {
			return err
		}
		switch state := strings.TrimSpace(string(out.Stdout)); state {
		case "running", "degraded":
			return nil
		case "maintenance", "stopping":
			return fmt.Errorf("the system is in the state %q instead of running", state)
		}
		select {
		case <-ctx.Done():
			out, _ := s.Run(context.WithoutCancel(ctx), "systemctl list-jobs --no-legend --plain", nil)
			return fmt.Errorf("waiting for the end of the start: %w; jobs left: %s",
				context.Cause(ctx), strings.Join(strings.Fields(string(out.Stdout)), " "))
		case <-time.After(settlePause):
		}
	}
}

// stuckTime is how long a unit may be activating after the start is over
// before it counts as stuck.
const stuckTime = 10 * time.Second

// failedUnits reports, in one error, failed units and those stuck in
// activating, with the last words of each failed one.
func failedUnits(ctx context.Context, s *machine.SSH, patience time.Duration) error {
	failed, err := units(ctx, s, "failed")
	if err != nil {
		return err
	}
	stuck, err := units(ctx, s, "activating")
	if err != nil {
		return err
	}
	for until := time.Now().Add(patience); len(stuck) > 0 && time.Now().Before(until); {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(settlePause):
		}
		if stuck, err = units(ctx, s, "activating"); err != nil {
			return err
		}
	}
	if len(failed)+len(stuck) == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString("failed or stuck systemd units:")
	for _, name := range stuck {
		fmt.Fprintf(&b, "\n%s is stuck in activating", name)
	}
	for _, name := range failed {
		fmt.Fprintf(&b, "\n%s failed%s", name, status(ctx, s, name, 5))
	}
	return fmt.Errorf("%s", b.String())
}

// units lists the units in a state by name.
func units(ctx context.Context, s *machine.SSH, state string) ([]string, error) {
	out, err := s.Run(ctx, "systemctl list-units --all --plain --no-legend --no-pager --full --state="+state, nil)
	if err != nil {
		return nil, err
	}
	if out.Status != 0 {
		return nil, fmt.Errorf("systemctl list-units: exit status %d%s", out.Status, complaint(out))
	}
	return parseUnits(string(out.Stdout)), nil
}

func parseUnits(listing string) []string {
	var names []string
	for line := range strings.Lines(listing) {
		if words := strings.Fields(line); len(words) > 0 {
			names = append(names, words[0])
		}
	}
	return names
}

// status is the end of what systemd has to say about a unit, indented.
func status(ctx context.Context, s *machine.SSH, unit string, lines int) string {
	command := fmt.Sprintf("sudo systemctl status --no-pager --full --lines=%d -- %s", lines, quote(unit))
	out, err := s.Run(ctx, command, nil)
	if err != nil || len(out.Stdout) == 0 {
		return ""
	}
	return ":\n    " + strings.ReplaceAll(strings.TrimSpace(string(out.Stdout)), "\n", "\n    ")
}

// quote makes a word of a POSIX shell.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
