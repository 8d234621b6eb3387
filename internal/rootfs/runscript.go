package rootfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/nestos/nosa-actions/internal/tool"
)

// script runs one script in the sandbox.
func (r *scriptRun) script(ctx context.Context, s script) error {
	if body, ok := replacedScripts[s.name()]; ok {
		s.argv, s.body, s.bare, s.flags = []string{"/bin/sh"}, body, false, 0
	}
	if err := r.expand(ctx, &s); err != nil {
		return err
	}
	box, err := r.sandbox(s)
	if err != nil {
		return err
	}
	argv := s.argv
	switch {
	case s.argv[0] == "<lua>":
		if argv, err = r.rpm("--eval", `%{lua:dofile("`+scriptPath+`")}`); err != nil {
			return fmt.Errorf("it is written in Lua, %w", err)
		}
		s.body = luaStart(s.args) + s.body
	case !s.bare:
		argv = append(append(append([]string(nil), argv...), scriptPath), s.args...)
	}
	if !s.bare {
		box.script = filepath.Join(r.dir, "script")
		if err := os.WriteFile(box.script, []byte(s.body), 0o700); err != nil {
			return err
		}
	}
	out := &prefixer{to: r.Live, prefix: s.name() + ": "}
	box.live = out
	err = r.tree.run(ctx, box, argv...)
	if err := errors.Join(err, out.flush()); err != nil {
		return plain(err, out.last)
	}
	return nil
}

// plain tells how a script itself failed, without the program that ran it but
// with its last words on either stream.
func plain(err error, last []string) error {
	var failed *tool.Error
	if !errors.As(err, &failed) || failed.ExitCode() <= 0 {
		return err
	}
	if len(last) == 0 {
		return fmt.Errorf("%w without a word", failed.Err)
	}
	return fmt.Errorf("%w: %s", failed.Err, strings.Join(last, "; "))
}

// luaStart is what rpm provides to a Lua script beside its libraries: its
// arguments and, for file triggers, the files one by one. It is one line, so that
// line numbers in errors hold.
func luaStart(args []string) string {
	return `local opt, arg = {}, {"<lua>", "` + strings.Join(args, `", "`) + `"}; ` +
		`rpm.next_file = function() return io.read("l") end; `
}

// sandbox prepares what only scripts of packages see.
func (r *scriptRun) sandbox(s script) (sandbox, error) {
	box := sandbox{packages: true, state: filepath.Join(r.dir, "rpm-state"), empty: filepath.Join(r.dir, "empty")}
	if err := os.MkdirAll(box.state, 0o755); err != nil {
		return box, err
	}
	if err := os.WriteFile(box.empty, nil, 0o644); err != nil {
		return box, err
	}
	box.systemctl = filepath.Join(r.dir, "systemctl")
	if err := os.WriteFile(box.systemctl, []byte(systemctlWrapper), 0o755); err != nil {
		return box, err
	}
	if s.stdin != "" {
		box.stdin = strings.NewReader(s.stdin)
	}
	return box, nil
}

// expand replaces macros and header tags in a body that asks for it. Macros can
// run programs, so this is the tree's rpm's business too.
func (r *scriptRun) expand(ctx context.Context, s *script) error {
	for _, step := range []struct {
		flag int
		args []string
	}{
		{scriptExpand, []string{"--eval", s.body}},
		{scriptQueryFormat, []string{"--dbpath=" + DBPath, "-q", "--qf", s.body, s.pkg}},
	} {
		if s.flags&step.flag == 0 || s.bare {
			continue
		}
		argv, err := r.rpm(step.args...)
		if err != nil {
			return fmt.Errorf("its text has macros to expand, %w", err)
		}
		var text bytes.Buffer
		if err := r.tree.run(ctx, sandbox{out: &text}, argv...); err != nil {
			return fmt.Errorf("expand its macros: %w", err)
		}
		s.body = text.String()
	}
	return nil
}

// rpm is the command line of the tree's own rpm.
func (r *scriptRun) rpm(args ...string) ([]string, error) {
	const program = "/usr/bin/rpm"
	if _, err := os.Stat(filepath.Join(r.tree.Root, program)); err != nil {
		return nil, errors.New("for which the tree needs " + program + ": add the package rpm to the manifest")
	}
	langs := "all"
	if r.Langs != nil {
		langs = strings.Join(r.Langs, ":")
	}
	return append([]string{program, "--define=_install_langs " + langs}, args...), nil
}

// prefixer puts a prefix before each line and keeps the last ones. A nil writer
// takes nothing.
type prefixer struct {
	to     io.Writer
	prefix string
	line   []byte   // begun, not ended
	last   []string // lines that are not blank, without the prefix
}

func (p *prefixer) Write(data []byte) (int, error) {
	n := len(data)
	for {
		line, rest, ended := bytes.Cut(data, []byte("\n"))
		p.line = append(p.line, line...)
		if !ended {
			return n, nil
		}
		if err := p.flushLine(); err != nil {
			return 0, err
		}
		data = rest
	}
}

// flush writes a last line that was not ended.
func (p *prefixer) flush() error {
	if len(p.line) == 0 {
		return nil
	}
	return p.flushLine()
}

func (p *prefixer) flushLine() error {
	line := string(p.line)
	p.line = p.line[:0]
	if said := strings.TrimSpace(line); said != "" {
		const kept = 5
		p.last = append(p.last[max(0, len(p.last)+1-kept):], said)
	}
	if p.to == nil {
		return nil
	}
	_, err := io.WriteString(p.to, p.prefix+line+"\n")
	return err
}
