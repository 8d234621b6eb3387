package deb

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

func FuzzRead(f *testing.F) {
	entry := func(name, body string) string {
		return fmt.Sprintf("%-16s%-12d%-6d%-6d%-8o%-10d`\n%s", name, 0, 0, 0, 0o100644, len(body), body)
	}
	f.Add([]byte(arMagic))
	f.Add([]byte(arMagic + entry("debian-binary", "2.0\n") + entry("control.tar", "") + entry("data.tar.xz/", "x\n")))
	f.Add([]byte(arMagic + entry("control.tar.gz", "\x1f\x8b") + "short"))
	f.Add([]byte("!<arch>\ndebian-binary   0           0     0     100644  -4        `\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bytes.NewReader(data)
		all, err := members(in, int64(len(data)))
		if err != nil {
			return
		}
		for _, m := range all {
			body, err := io.ReadAll(m.data)
			if err != nil || int64(len(body)) != m.data.Size() {
				t.Fatalf("member %q has %d of %d bytes: %v", m.name, len(body), m.data.Size(), err)
			}
		}
		_, _ = read(in, int64(len(data)))
	})
}
