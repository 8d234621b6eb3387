package container

import (
	"fmt"
	"syscall"
)

// ExitError says that the command ended by itself with a status other than 0.
type ExitError struct{ Code int }

func (e *ExitError) Error() string { return fmt.Sprintf("exit status %d", e.Code) }

// ExitCode is the status, as in os/exec.
func (e *ExitError) ExitCode() int { return e.Code }

// SignalError says that a signal ended the command.
type SignalError struct{ Signal syscall.Signal }

func (e *SignalError) Error() string { return "signal: " + e.Signal.String() }

// CommandError says that the command could not be started: the image does not
// have it, or it is not a program.
type CommandError struct{ Reason string }

func (e *CommandError) Error() string { return "start the command in the container: " + e.Reason }

// RuntimeError says that the engine or the runtime below it failed; the command
// did not run, or nobody knows how it ended.
type RuntimeError struct{ Err error }

func (e *RuntimeError) Error() string { return "run the container: " + e.Err.Error() }

func (e *RuntimeError) Unwrap() error { return e.Err }
