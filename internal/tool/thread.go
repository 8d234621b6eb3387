package tool

import (
	"os/exec"
	"runtime"
	"sync"
)

// Pdeathsig is tied to the thread that started the child, not to the process:
// when the Go runtime ends an idle thread, its children would be killed. All
// starts therefore happen on one thread that lives as long as we do.
var starter = sync.OnceValue(func() chan<- func() {
	jobs := make(chan func())
	go func() {
		runtime.LockOSThread()
		for job := range jobs {
			job()
		}
	}()
	return jobs
})

func startLocked(cmd *exec.Cmd) error {
	done := make(chan error, 1)
	starter() <- func() { done <- cmd.Start() }
	return <-done
}
