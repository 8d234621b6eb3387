// Package retry bounds calls that wait for somebody else's machine.
package retry

import (
	"context"
	"fmt"
	"time"
)

// Limit is how long such a call may take, and how often it is begun anew.
type Limit struct {
	Tries int           // at least 1
	Each  time.Duration // of one try
}

// Stalled is the error of a call that took longer than its limit each time.
type Stalled struct {
	Limit
	What string // that was to be done, such as "the pull of IMAGE"
	Mend string
}

// Error implements error.
func (e *Stalled) Error() string {
	return fmt.Sprintf("%s was given up: it was not done within %s, tried %d times; %s", e.What, e.Each, e.Tries, e.Mend)
}

// IfStalled calls try until one ends within the limit; what it returns then, an error
// too, is the result. What fails is not tried again: whoever makes the call knows best
// which failures pass.
func IfStalled(ctx context.Context, l Limit, what, mend string, try func(context.Context) error) error {
	late := &Stalled{Limit: l, What: what, Mend: mend}
	for range l.Tries {
		timed, stop := context.WithTimeoutCause(ctx, l.Each, late)
		err := try(timed)
		over := timed.Err() != nil
		stop()
		if err == nil || !over {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return late
}
