package kola

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/machine"
)

// settlePause is the time between two looks at a system that is still starting.
const settlePause = time.Second

// unitStates are the units that are not as they should be when a system has
// started.
type unitStates struct{ failed, activating []string }

// listUnits prints the units in a state.
func listUnits(state string) string {
	return "systemctl list-units --all --plain --no-legend --no-pager --full --state=" + state
}

// waitForStartup waits until systemd has no more jobs of the start to do, and
// looks at its units.
func waitForStartup(ctx context.Context, s *machine.SSH) (unitStates, error) {
	for {
		answers, err := batch(ctx, s, "systemctl is-system-running --wait", listUnits("failed"), listUnits("activating"))
		if err != nil && ctx.Err() == nil {
			return unitStates{}, err
		}
		if err == nil {
			switch state := strings.TrimSpace(string(answers[0].Stdout)); state {
			case "running", "degraded":
				return readUnits(answers[1:])
			case "maintenance", "stopping":
				return unitStates{}, fmt.Errorf("the system is in the state %q instead of running", state)
			}
		}
		select {
		case <-ctx.Done():
			return unitStates{}, fmt.Errorf("waiting for the end of the start: %w", context.Cause(ctx))
		case <-time.After(settlePause): // systemd does not listen yet
		}
	}
}

// readUnits takes the answers of listUnits for failed and activating.
func readUnits(answers []answer) (unitStates, error) {
	for _, a := range answers {
		if a.Status != 0 {
			return unitStates{}, fmt.Errorf("systemctl list-units: exit status %d%s", a.Status, complaint(a.Output))
		}
	}
	return unitStates{failed: parseUnits(string(answers[0].Stdout)), activating: parseUnits(string(answers[1].Stdout))}, nil
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

// stuckTime is how long a unit may be activating after the start is over
// before it counts as stuck.
const stuckTime = 10 * time.Second

// complain reports, in one error, failed units and those that stay activating
// for longer than patience, with the last words of each failed one.
func (u unitStates) complain(ctx context.Context, s *machine.SSH, patience time.Duration) error {
	for until := time.Now().Add(patience); len(u.activating) > 0 && time.Now().Before(until); {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(settlePause):
		}
		answers, err := batch(ctx, s, listUnits("failed"), listUnits("activating"))
		if err != nil {
			return err
		}
		if u, err = readUnits(answers); err != nil {
			return err
		}
	}
	if len(u.failed)+len(u.activating) == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString("failed or stuck systemd units:")
	for _, name := range u.activating {
		fmt.Fprintf(&b, "\n%s is stuck in activating", name)
	}
	for _, name := range u.failed {
		fmt.Fprintf(&b, "\n%s failed%s", name, status(ctx, s, name, 5))
	}
	return errors.New(b.String())
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
