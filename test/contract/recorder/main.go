// Command recorder stands in a container for upstream's dumb-init and
// coreos-assembler. It writes down what it sees of the world, as a line of JSON
// in the work directory, and then does what the actions' tests have a stage do.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/nestos/nosa-actions/internal/testkit/actiontest"
)

// ours are commands that upstream's assembler does not know.
var ours = []string{"buildextend", "validate"}

// Record is what one run saw.
type Record struct {
	Args    []string
	Env     []string
	Dir     string
	UID     int
	Mounts  []string // mount points
	Devices []string // nodes in /dev that could be opened
	// Leaks are places that hold the word of the variable LEAK's value, which the
	// test puts into secrets; the variable itself is not passed, so the word is
	// read from the config.
	Leaks []string
}

func main() {
	if filepath.Base(os.Args[0]) == "dumb-init" {
		err := syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
		fmt.Fprintln(os.Stderr, err)
		os.Exit(127)
	}
	if err := record(); err != nil {
		fmt.Fprintln(os.Stderr, "recorder:", err)
		os.Exit(3)
	}
	if slices.Contains(ours, os.Args[1]) {
		fmt.Fprintln(os.Stderr, "unknown command: "+os.Args[1]) // as upstream's dispatcher
		os.Exit(1)
	}
	actiontest.Nosa()
}

func record() error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	r := Record{Args: os.Args[1:], Env: os.Environ(), Dir: dir, UID: os.Getuid()}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(mounts)) {
		r.Mounts = append(r.Mounts, strings.Fields(line)[4])
	}
	for _, name := range []string{"/dev/kvm", "/dev/fuse", "/dev/loop-control"} {
		if f, err := os.OpenFile(name, os.O_RDWR, 0); err == nil {
			r.Devices = append(r.Devices, name)
			_ = f.Close()
		}
	}
	r.Leaks = leaks([]byte("s3cr" + "et-"))
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile("/srv/contract.log", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(append(text, '\n'))
	return err
}

// leaks looks for a word in the environment of every process and in every file.
func leaks(word []byte) []string {
	var found []string
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range environs {
		if text, _ := os.ReadFile(file); bytes.Contains(text, word) {
			found = append(found, file)
		}
	}
	_ = filepath.WalkDir("/", func(path string, d fs.DirEntry, err error) error {
		if path == "/proc" || path == "/sys" || path == "/dev" {
			return filepath.SkipDir
		}
		if strings.Contains(path, string(word)) {
			found = append(found, path)
		}
		if err == nil && d.Type().IsRegular() {
			if text, _ := os.ReadFile(path); bytes.Contains(text, word) {
				found = append(found, path)
			}
		}
		return nil
	})
	return found
}
