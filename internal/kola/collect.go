package kola

import (
	"bytes"
	"context"
	"fmt"
	"io"
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

// chainFile is what criticalChain says.
const (
	chainFile     = "critical-chain.txt"
	criticalChain = "systemd-analyze --no-pager critical-chain"
)

// analyse asks systemd what the start waited for, while the tests run: under
// emulation it takes many seconds to say so. What it gives is nil where it did not
// come to an answer.
func (t *trial) analyse(ctx context.Context, s *machine.SSH) {
	t.chain = make(chan []byte, 1)
	go func() {
		var text []byte
		if answers, err := batch(ctx, s, criticalChain); err == nil {
			text = append(append(answers[0].Stdout, '\n'), answers[0].Stderr...)
		}
		t.chain <- text
	}()
}

// logs keeps what the guest can tell about its start and its tests.
func (t *trial) logs(ctx context.Context, s *machine.SSH) error {
	word := "end of test " + filepath.Base(t.dir)
	var names, commands []string
	var chain []byte
	select {
	case chain = <-t.chain:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if chain != nil {
		if err := os.WriteFile(filepath.Join(t.dir, chainFile), chain, 0o644); err != nil {
			return err
		}
	} else { // a test has restarted the guest
		names, commands = append(names, chainFile), append(commands, criticalChain)
	}
	for _, m := range t.group.members {
		if m.isScript() {
			names = append(names, m.Name+".txt")
			commands = append(commands, "sudo journalctl --no-pager -o cat -t "+quote(m.program()))
		}
	}
	answers, err := batch(ctx, s, append(commands, "echo "+quote(word)+" | systemd-cat -t nosa")...)
	if err != nil {
		return err
	}
	for i, name := range names {
		text := append(answers[i].Stdout, '\n')
		if err := os.WriteFile(filepath.Join(t.dir, name), append(text, answers[i].Stderr...), 0o644); err != nil {
			return err
		}
	}
	return t.settleJournal(ctx, s, word)
}

// streamTime is how long the journal stream may lag behind.
const streamTime = 10 * time.Second

// settleJournal waits until the streamed journal has come up to a word that was
// written into it; without a stream it asks for the journal.
func (t *trial) settleJournal(ctx context.Context, s *machine.SSH, word string) error {
	path := filepath.Join(t.dir, "journal.jsonl")
	if info, err := os.Stat(path); err == nil && info.Size() > 0 {
		for end := time.Now().Add(streamTime); time.Now().Before(end); {
			if found, err := endsWith(path, word); found || err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	out, err := s.Run(ctx, "sudo journalctl -q --no-pager -o json", nil)
	if err != nil {
		return err
	}
	return os.WriteFile(path, out.Stdout, 0o644)
}

// tailSize is where in a journal its last words are looked for, in bytes.
const tailSize = 256 << 10

// endsWith tells whether a word is near the end of a file.
func endsWith(path, word string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	tail, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-tailSize), tailSize))
	return bytes.Contains(tail, []byte(word)), err
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
			t.flaky = t.flaky || b.Warn // a soft lockup
			if b.Warn || t.o.LenientConsole {
				t.warnings = append(t.warnings, fmt.Sprintf("found %s on the %s", b, source.name))
				continue
			}
			t.failf("found %s on the %s", b, source.name)
		}
	}
	return nil
}
