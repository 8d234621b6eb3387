package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/nestos/nosa-actions/internal/handoff"
	"github.com/nestos/nosa-actions/internal/tool"
)

// start runs child in a process of its own and returns the most memory that it
// had, in bytes.
func (b *bench) start(ctx context.Context, args ...string) (int64, error) {
	out, err := tool.Host{}.Run(ctx, tool.Cmd{Name: b.self, Args: args})
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
}

// child is what a process of ours does: "pack FILE ROOT PATH" or "unpack FILE
// DIR". Then it says how much memory it had at most.
func child(ctx context.Context, args []string) error {
	var err error
	switch {
	case len(args) == 4 && args[0] == "pack":
		_, err = handoff.PackFile(ctx, args[1], args[2], handoff.PackOptions{Paths: args[3:]})
	case len(args) == 3 && args[0] == "unpack":
		_, err = handoff.UnpackFile(ctx, args[1], args[2], handoff.UnpackOptions{})
	default:
		err = fmt.Errorf("unknown arguments: %q", args)
	}
	if err != nil {
		return err
	}
	status, err := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if kib, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.Fields(kib)[0], 10, 64)
			fmt.Println(n << 10)
			return err
		}
	}
	return err
}
