// Command recorder stands in a container for upstream's dumb-init and
// coreos-assembler. It writes down what it sees of the world, as a line of JSON
// in the work directory, and then does what the actions' tests have a stage do.
package main

import (
	"bytes"
	"encoding/base64"
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
	// Leaks are places that hold the word by which the test's secrets begin, and Seen
	// those with a word that may be seen: a search that finds nothing proves nothing.
	Leaks, Seen []string
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
	// The compiler must not put them together, or they would be found in this program.
	r.Leaks, r.Seen = holders(strings.ReplaceAll("s3cr_et-tok_en-of-a-job-", "_", "")), holders(strings.ReplaceAll("contr_ol-word-that-m_ay-be-seen", "_", ""))
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

// holders looks for a word, as it is or in base64, in the environment and the command
// of every process, and in the name and the text of every file.
func holders(word string) []string {
	forms := [][]byte{[]byte(word)}
	for shift := range 3 { // the code depends on where in a text the word begins
		coded := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), word...))
		forms = append(forms, []byte(coded[4:len(coded)-4]))
	}
	var found []string
	look := func(path string, text []byte) {
		if slices.ContainsFunc(forms, func(form []byte) bool { return bytes.Contains(text, form) }) {
			found = append(found, path)
		}
	}
	for _, pattern := range []string{"/proc/[0-9]*/environ", "/proc/[0-9]*/cmdline"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			text, _ := os.ReadFile(file)
			look(file, text)
		}
	}
	_ = filepath.WalkDir("/", func(path string, d fs.DirEntry, err error) error {
		if path == "/proc" || path == "/sys" || path == "/dev" || path == "/srv/contract.log" {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		look("the name "+path, []byte(path))
		if err == nil && d.Type().IsRegular() {
			text, _ := os.ReadFile(path)
			look(path, text)
		}
		return nil
	})
	return found
}
