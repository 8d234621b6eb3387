package kola

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

// journalLine is the longest line of a journal export that is read; journald
// itself cuts messages much earlier.
const journalLine = 16 << 20

// entry is what we show of a journal entry (systemd.journal-fields). Fields
// that are not valid UTF-8 come as arrays of numbers, repeated ones as arrays
// of strings.
type entry struct {
	Time       string          `json:"__REALTIME_TIMESTAMP"` // microseconds
	Host       string          `json:"_HOSTNAME"`
	Identifier json.RawMessage `json:"SYSLOG_IDENTIFIER"`
	Command    json.RawMessage `json:"_COMM"`
	PID        json.RawMessage `json:"_PID"`
	SyslogPID  json.RawMessage `json:"SYSLOG_PID"`
	Message    json.RawMessage `json:"MESSAGE"`
}

// RenderJournal turns a journal in JSON lines into text like that of
// journalctl -o short-iso-precise. Lines that are no entries, as a guest that
// dies may leave, are passed on as they are.
func RenderJournal(w io.Writer, raw io.Reader) error {
	in := bufio.NewScanner(raw)
	in.Buffer(nil, journalLine)
	out := bufio.NewWriter(w)
	for in.Scan() {
		var e entry
		if err := json.Unmarshal(in.Bytes(), &e); err != nil {
			fmt.Fprintf(out, "%q\n", in.Text())
			continue
		}
		fmt.Fprintln(out, e)
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return out.Flush()
}

// String prints "TIME HOST NAME[PID]: MESSAGE"; further lines of a message are
// indented.
func (e entry) String() string {
	stamp := "-"
	if us, err := strconv.ParseInt(e.Time, 10, 64); err == nil {
		stamp = time.UnixMicro(us).UTC().Format("2006-01-02T15:04:05.000000Z")
	}
	name := field(e.Identifier)
	if name == "" {
		name = field(e.Command)
	}
	pid := field(e.PID)
	if pid == "" {
		pid = field(e.SyslogPID)
	}
	if pid != "" {
		name += "[" + pid + "]"
	}
	message := bytes.ReplaceAll([]byte(field(e.Message)), []byte("\n"), []byte("\n    "))
	return fmt.Sprintf("%s %s %s: %s", stamp, e.Host, name, message)
}

// field is the text of a field in any of its forms.
func field(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var numbers []int
	if json.Unmarshal(raw, &numbers) == nil {
		data := make([]byte, len(numbers))
		for i, n := range numbers {
			data[i] = byte(n)
		}
		return string(bytes.ToValidUTF8(data, []byte("\uFFFD")))
	}
	var texts []string
	if json.Unmarshal(raw, &texts) == nil && len(texts) > 0 {
		return texts[0]
	}
	return ""
}

// keepJournal writes journal.txt and journal-raw.txt.gz from the JSON lines at
// raw, and removes that.
func keepJournal(raw, text, zipped string) error {
	in, err := os.Open(raw)
	if err != nil {
		return err
	}
	defer in.Close()
	z, err := os.Create(zipped)
	if err != nil {
		return err
	}
	defer z.Close()
	t, err := os.Create(text)
	if err != nil {
		return err
	}
	defer t.Close()
	gz := gzip.NewWriter(z)
	if err := RenderJournal(t, io.TeeReader(in, gz)); err != nil {
		return err
	}
	for _, finish := range []func() error{gz.Close, z.Close, t.Close} {
		if err := finish(); err != nil {
			return err
		}
	}
	return os.Remove(raw)
}
