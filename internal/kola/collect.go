package kola

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nestos/nosa-actions/internal/machine"
)

// collectTime is how long fetching logs at the end of a test may take.
const collectTime = time.Minute

// collect fetches what only the running guest can tell.
func (t *trial) collect(ctx context.Context, run *session) {
	limit := run.accel.Scale(collectTime)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("fetching logs took longer than %s", limit))
	defer cancel()
	if err := t.logs(ctx, run.ssh); err != nil {
		t.warnings = append(t.warnings, fmt.Sprintf("fetching logs: %v", err))
	}
}

func (t *trial) logs(ctx context.Context, s *machine.SSH) error {
	if err := t.save(ctx, s, "boot.txt", "systemd-analyze --no-pager time; systemd-analyze --no-pager blame"); err != nil {
		return err
	}
	for _, m := range t.group.members {
		if m.Executable == "" {
			continue
		}
		command := "sudo journalctl --no-pager -o cat -t " + quote(m.program())
		if err := t.save(ctx, s, m.Name+".txt", command); err != nil {
			return err
		}
	}
	return t.settleJournal(ctx, s)
}

// save keeps what a command prints.
func (t *trial) save(ctx context.Context, s *machine.SSH, name, command string) error {
	out, err := s.Run(ctx, command, nil)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(t.dir, name), append(out.Stdout, out.Stderr...), 0o644)
}

// streamTime is how long the journal stream may lag behind.
const streamTime = 10 * time.Second

// settleJournal waits until the streamed journal has come up to now, known by a
// word that we write into it; without a stream it asks for the journal.
func (t *trial) settleJournal(ctx context.Context, s *machine.SSH) error {
	path := filepath.Join(t.dir, "journal.jsonl")
	if info, err := os.Stat(path); err == nil && info.Size() > 0 {
		word := "end of test " + filepath.Base(t.dir)
		if _, err := s.Run(ctx, "echo "+quote(word)+" | systemd-cat -t nosa", nil); err != nil {
			return err
		}
		for end := time.Now().Add(streamTime); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if bytes.Contains(data, []byte(word)) {
				return nil
			}
		}
	}
	return t.save(ctx, s, "journal.jsonl", "sudo journalctl -q --no-pager -o json")
}

// examine looks for badness in console and journal after the guest's end.
func (t *trial) examine() error {
	raw := filepath.Join(t.dir, "journal.jsonl")
	journal := filepath.Join(t.dir, "journal.txt")
	if err := keepJournal(raw, journal, filepath.Join(t.dir, "journal-raw.txt.gz")); err != nil {
		t.warnings = append(t.warnings, err.Error())
	}
	if t.group.skipsBaseChecks() {
		return nil
	}
	for _, source := range []struct{ name, path string }{
		{"console", filepath.Join(t.dir, "console.txt")}, {"journal", journal},
	} {
		text, err := os.ReadFile(source.path)
		if err != nil {
			if source.name == "journal" {
				continue // told above
			}
			return err
		}
		for _, b := range FindBadness(machine.Plain(text)) {
			if b.Warn || t.o.LenientConsole {
				t.warnings = append(t.warnings, fmt.Sprintf("found %s on the %s", b, source.name))
				continue
			}
			t.failf("found %s on the %s", b, source.name)
		}
	}
	return nil
}
