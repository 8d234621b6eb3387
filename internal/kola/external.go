package kola

import (
	"archive/tar"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/machine"
)

// extEnv is the file of variables that outlive a reboot of the test.
const extEnv = "/run/kola-runext-env"

// suffix sets the things of tests in one guest apart: "-1", "-2"; a test that
// has its guest to itself has none.
func (m member) suffix() string {
	if m.number == 0 {
		return ""
	}
	return fmt.Sprintf("-%d", m.number)
}

func (m member) unit() string    { return "kola-runext" + m.suffix() + ".service" }
func (m member) dataDir() string { return "/var/opt/kola/extdata" + m.suffix() }

// program is the base name of the test's executable in the guest, by which its
// output is found in the journal.
func (m member) program() string {
	return "kola-runext" + m.suffix() + "-" + m.base()
}

// base is the base name of the executable.
func (m member) base() string {
	if m.Script != nil {
		return m.Name
	}
	return filepath.Base(m.Executable)
}

// fragment is what an external test needs in its guest: the executable and the
// unit that runs it. The path of the injected OCI archive may be empty.
func (m member) fragment(archive string) (machine.Fragment, error) {
	exe, err := m.content()
	if err != nil {
		return machine.Fragment{}, err
	}
	base := m.base()
	path := "/usr/local/bin/" + m.program()
	unit := fmt.Sprintf(`[Unit]
Description=External test %[1]s

[Service]
RemainAfterExit=yes
EnvironmentFile=-%[2]s
Environment=KOLA_UNIT=%[3]s
Environment=KOLA_TEST=%[1]s
Environment=KOLA_TEST_EXE=%[4]s
Environment=KOLA_EXT_DATA=%[5]s
%[7]sExecStart=%[6]s
`, specifier(m.Name), extEnv, m.unit(), specifier(base), m.dataDir(), specifier(path), archiveEnv(archive))
	return machine.Fragment{
		Files: []machine.File{{Path: path, Content: exe, Mode: 0o755}},
		Units: []machine.Unit{{Name: m.unit(), Content: unit}},
	}, nil
}

// archiveEnv are the variables by which a test finds the OCI archive: the one
// that upstream sets, and the one that its documentation names.
func archiveEnv(path string) string {
	if path == "" {
		return ""
	}
	path = specifier(path)
	return "Environment=KOLA_EXT_OSTREE_OCIARCHIVE=" + path + "\nEnvironment=KOLA_OSTREE_OCIARCHIVE=" + path + "\n"
}

// specifier protects the percent signs of a name in a unit file.
func specifier(name string) string { return strings.ReplaceAll(name, "%", "%%") }

//go:embed agent.sh
var agent string

// turn is how one run of the agent ended: the test asks for a reboot, or has
// ended.
type turn struct {
	Reboot string
	Result struct{ ActiveState, SubState, Result, Code, Status string }
}

// rebootTime is how long a guest may take from the permission to reboot until
// its sshd answers after that.
const rebootTime = 2 * time.Minute

// answerTime is how long a guest that is there may take for a short command.
const answerTime = 6 * time.Second

// session runs one external test in its guest.
type session struct {
	guest  *machine.Guest
	ssh    *machine.SSH // replaced after each reboot
	accel  machine.Accel
	reboot int // reboots so far
}

// run starts the test's unit and follows it through its reboots to its end.
func (s *session) run(ctx context.Context, m member) error {
	if err := s.upload(ctx, m.Data, m.dataDir()); err != nil {
		return fmt.Errorf("uploading %s: %w", m.Data, err)
	}
	command := "sudo KOLA_UNIT=" + m.unit()
	if m.number > 0 {
		command += " KOLA_SHARED=1"
	}
	for {
		out, err := s.ssh.Run(ctx, command+" bash -s", strings.NewReader(agent))
		if err != nil {
			return err
		}
		var t turn
		if err := json.Unmarshal(lastLine(out.Stdout), &t); err != nil || out.Status != 0 {
			return fmt.Errorf("the test could not be run: exit status %d%s", out.Status, complaint(out))
		}
		if t.Reboot == "" {
			return s.verdict(ctx, m.unit(), t)
		}
		if err := s.restart(ctx, t.Reboot); err != nil {
			return fmt.Errorf("reboot %q: %w", t.Reboot, err)
		}
	}
}

// verdict is nil only for a test that exited with status 0.
func (s *session) verdict(ctx context.Context, unit string, t turn) error {
	r := t.Result
	if r.Result == "success" && r.SubState == "exited" && r.Code == "1" && r.Status == "0" {
		return nil
	}
	how := "result " + r.Result
	switch r.Code { // CLD_EXITED, CLD_KILLED, CLD_DUMPED
	case "1":
		how = "exit status " + r.Status
	case "2", "3":
		how = "killed by signal " + r.Status
	}
	return fmt.Errorf("%s ended with %s%s", unit, how, status(ctx, s.ssh, unit, 40))
}

// restart lets the guest reboot and then tells the test where it was.
func (s *session) restart(ctx context.Context, mark string) error {
	if err := s.cycle(ctx, "sudo sh -c 'echo > /run/kolet-reboot-ack'"); err != nil {
		return err
	}
	return s.mark(ctx, mark)
}

// cycle runs the command that makes the guest reboot and waits for it to come
// back with another boot id.
func (s *session) cycle(ctx context.Context, command string) error {
	before, err := s.bootID(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.accel.Scale(rebootTime),
		fmt.Errorf("not back within %s", s.accel.Scale(rebootTime)))
	defer cancel()
	// The connection may be cut before the answer comes.
	_, _ = s.ssh.Ask(ctx, s.accel.Scale(answerTime), command)
	for {
		s.ssh.Close()
		if err := s.reconnect(ctx); err != nil {
			return err
		}
		after, err := s.bootID(ctx)
		if err == nil && after != before {
			s.reboot++
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(settlePause):
		}
	}
}

// reconnect logs in again. If that fails the old connection, which is closed,
// stays: to use it is an error, and nothing worse.
func (s *session) reconnect(ctx context.Context) error {
	next, err := s.guest.Connect(ctx)
	if err == nil {
		s.ssh = next
	}
	return err
}

func (s *session) mark(ctx context.Context, mark string) error {
	line := "AUTOPKGTEST_REBOOT_MARK='" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(mark) + "'\n"
	out, err := s.ssh.Run(ctx, "sudo tee "+extEnv+" >/dev/null", strings.NewReader(line))
	if err != nil {
		return err
	}
	if out.Status != 0 {
		return fmt.Errorf("writing %s: exit status %d%s", extEnv, out.Status, complaint(out))
	}
	return nil
}

func (s *session) bootID(ctx context.Context) (string, error) {
	// While a guest goes down, its sshd may still let one in, and then be silent.
	out, err := s.ssh.Ask(ctx, s.accel.Scale(answerTime), "cat /proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	id := strings.TrimSpace(string(out.Stdout))
	if id == "" {
		return "", errors.New("no boot id")
	}
	return id, nil
}

// upload copies a directory to where KOLA_EXT_DATA points; links are followed,
// because tests share files by them.
func (s *session) upload(ctx context.Context, dir, target string) error {
	if dir == "" {
		return nil
	}
	read, write := io.Pipe()
	go func() { write.CloseWithError(archive(write, dir)) }()
	defer read.Close()
	out, err := s.ssh.Run(ctx, "sudo mkdir -p "+target+" && sudo tar -x --no-same-owner -f - -C "+target, read)
	if err != nil {
		return err
	}
	if out.Status != 0 {
		return fmt.Errorf("exit status %d%s", out.Status, complaint(out))
	}
	return nil
}

// archive writes the files of a directory as a tar.
func archive(w io.Writer, dir string) error {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	err = filepath.WalkDir(real, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == real {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(real, path)
		if err != nil {
			return err
		}
		return addFile(t, path, name, info)
	})
	if err != nil {
		return err
	}
	return t.Close()
}

func addFile(t *tar.Writer, path, name string, info fs.FileInfo) error {
	head, err := tar.FileInfoHeader(info, "")
	if err != nil {
		return err
	}
	head.Name, head.Uid, head.Gid, head.Uname, head.Gname = name, 0, 0, "", ""
	if err := t.WriteHeader(head); err != nil || !info.Mode().IsRegular() {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(t, f)
	return err
}

// lastLine is the last line that is not empty.
func lastLine(text []byte) []byte {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return []byte(lines[len(lines)-1])
}
