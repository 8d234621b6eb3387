package kola

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/boottime"
	"github.com/nestos/nosa-actions/internal/machine"
)

// BootFile is the name of the file, among a guest's logs, that says how long its
// first start took: a boottime.Record.
const BootFile = "boot.json"

// consoleMarks are what a guest's console says first when firmware hands over to
// the boot loader, and the loader to the kernel.
var consoleMarks = [][]byte{[]byte("GRUB"), []byte("Linux version ")}

// bootWatch notes when a console says what, as it is written to its file.
type bootWatch struct {
	begin time.Time
	stop  chan struct{}
	done  chan []time.Duration
}

// watchTick is how exact the times before the kernel are; watchedBytes bounds
// how much of a console is looked through for them.
const (
	watchTick    = 20 * time.Millisecond
	watchedBytes = 1 << 20
)

// watchBoot begins to watch; begin is when the guest was switched on.
func watchBoot(console string, begin time.Time) *bootWatch {
	w := &bootWatch{begin: begin, stop: make(chan struct{}), done: make(chan []time.Duration, 1)}
	f, err := os.Open(console)
	if err != nil {
		w.done <- nil
		return w
	}
	go func() {
		defer f.Close()
		w.done <- w.watch(f)
	}()
	return w
}

func (w *bootWatch) watch(f *os.File) []time.Duration {
	var seen []time.Duration
	text, buffer := []byte{}, make([]byte, 64<<10)
	tick := time.NewTicker(watchTick)
	defer tick.Stop()
	for len(seen) < len(consoleMarks) && len(text) < watchedBytes {
		n, _ := f.Read(buffer)
		text = append(text, buffer[:n]...)
		for len(seen) < len(consoleMarks) && bytes.Contains(text, consoleMarks[len(seen)]) {
			seen = append(seen, time.Since(w.begin))
		}
		if n > 0 {
			continue
		}
		select {
		case <-w.stop:
			return seen
		case <-tick.C:
		}
	}
	return seen
}

// end ends the watch and gives the times that were seen.
func (w *bootWatch) end() []time.Duration {
	close(w.stop)
	return <-w.done
}

// recordBoot writes BootFile, before the journal is packed. A guest that did not
// come up has none.
func (t *trial) recordBoot(accel machine.Accel, marks []time.Duration) {
	f, err := os.Open(filepath.Join(t.dir, "journal.jsonl"))
	if err != nil {
		return // told by examine
	}
	defer f.Close()
	r, err := boottime.Read(f)
	if errors.Is(err, boottime.ErrIncomplete) {
		return
	}
	if err == nil {
		if len(marks) == len(consoleMarks) {
			r.Before(marks[0].Seconds(), (marks[1] - marks[0]).Seconds())
		}
		r.Commit = t.o.Expect.Commit
		r.Machine = t.kind(accel)
		var text []byte
		if text, err = json.MarshalIndent(r, "", " "); err == nil {
			err = errors.Join(os.WriteFile(filepath.Join(t.dir, BootFile), append(text, '\n'), 0o644),
				os.WriteFile(filepath.Join(t.dir, "boot.txt"), []byte(r.Text()), 0o644))
		}
	}
	if err != nil {
		t.warnings = append(t.warnings, fmt.Sprintf("how long the start took: %v", err))
	}
}

// kind names the guests whose times can be compared with those of this one.
func (t *trial) kind(accel machine.Accel) string {
	words := []string{"tcg", "default firmware", t.group.name}
	if accel.KVM {
		words[0] = "kvm"
	}
	if t.o.Firmware != "" {
		words[1] = string(t.o.Firmware)
	}
	if t.o.Guest.CPUs > 0 {
		words = append(words, fmt.Sprintf("%d CPUs", t.o.Guest.CPUs))
	}
	return strings.Join(words, ", ")
}

// Boots reads the records of the guests of a run, by their directories.
func Boots(outputDir string) (map[string]*boottime.Record, error) {
	out := map[string]*boottime.Record{}
	err := filepath.WalkDir(outputDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != BootFile || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		r := &boottime.Record{}
		if err := json.Unmarshal(text, r); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		out[filepath.Dir(path)] = r
		return nil
	})
	return out, err
}
