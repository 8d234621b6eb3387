package inside

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/nestos/nosa-actions/internal/tool"
)

// Init is the main program of the container: nosa-init COMMAND ARGS. The status
// it returns is that of the command, in the way of a shell; what counts is what
// it tells over the socket.
func Init(command []string) int {
	if len(command) == 0 {
		fmt.Fprintln(os.Stderr, "nosa-init: the first process of a container that nosa-actions starts; not for use by hand")
		return 2
	}
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "nosa-init: not the first process of a container")
		return 2 // stop would end every process of the machine
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socketPath, Net: "unix"})
	if err != nil {
		fmt.Fprintln(os.Stderr, "nosa-init:", err)
		return 125
	}
	defer conn.Close()
	end, err := serve(conn, command)
	if err != nil {
		fmt.Fprintln(os.Stderr, "nosa-init:", err)
		return 125
	}
	if err := json.NewEncoder(conn).Encode(end); err != nil {
		return 125 // nobody listens any more
	}
	switch {
	case end.Failed != "":
		return 127
	case end.Signal != 0:
		return 128 + end.Signal
	}
	return end.Exit
}

func serve(conn *net.UnixConn, command []string) (ending, error) {
	what, files, err := receive(conn)
	if err != nil {
		return ending{}, err
	}
	uncover()
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	pid, err := start(command, files)
	for _, f := range files {
		_ = f.Close()
	}
	if err != nil {
		return ending{Failed: err.Error()}, nil
	}
	if err := detach(); err != nil {
		return ending{}, err
	}
	go func() {
		over := make(chan struct{})
		go func() {
			_, _ = io.Copy(io.Discard, conn) // until the other side is done with us or gone
			close(over)
		}()
		select {
		case <-over:
		case <-stopped:
		}
		stop(what.Grace)
	}()
	return wait(pid)
}

// receive reads the order and the files for standard output and error.
func receive(conn *net.UnixConn) (order, []*os.File, error) {
	text, oob := make([]byte, 4096), make([]byte, syscall.CmsgSpace(2*4))
	n, oobn, _, _, err := conn.ReadMsgUnix(text, oob)
	if err != nil {
		return order{}, nil, fmt.Errorf("read the order: %w", err)
	}
	var o order
	if err := json.Unmarshal(text[:n], &o); err != nil {
		return order{}, nil, fmt.Errorf("read the order: %w", err)
	}
	messages, err := syscall.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		return order{}, nil, errors.New("the order came without files")
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 2 {
		return order{}, nil, errors.New("the order came without two files")
	}
	files := make([]*os.File, 2)
	for i, fd := range fds {
		syscall.CloseOnExec(fd)
		files[i] = os.NewFile(uintptr(fd), "output")
	}
	return o, files, nil
}

// uncover takes away what the runtime has mounted over parts of /proc, which
// buildah does not let one leave out. While it is there the kernel allows no
// sandbox in the container a /proc of its own. Only root can; others do without.
func uncover() {
	list, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(list)) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], "/proc/") {
			_ = syscall.Unmount(fields[4], syscall.MNT_DETACH)
		}
	}
}

func start(command []string, output []*os.File) (int, error) {
	path, err := tool.Look(command[0])
	if err != nil {
		return 0, fmt.Errorf("%s: not found in the image", command[0])
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	p, err := os.StartProcess(path, command, &os.ProcAttr{Files: []*os.File{null, output[0], output[1]}})
	if err != nil {
		return 0, err
	}
	return p.Pid, nil
}

// detach lets go of the streams that the engine gave. What relays them then has
// nothing left to watch: buildah asks its runtime for the state ten times a
// second for as long as they are open.
func detach() error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	for fd := range 3 {
		if err := syscall.Dup3(int(null.Fd()), fd, 0); err != nil {
			return err
		}
	}
	return nil
}

// wait reaps whatever ends, as the first process must, until the command has.
func wait(pid int) (ending, error) {
	for {
		var status syscall.WaitStatus
		got, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return ending{}, fmt.Errorf("wait for the command: %w", err)
		case got != pid:
		case status.Signaled():
			return ending{Signal: int(status.Signal())}, nil
		case status.Exited():
			return ending{Exit: status.ExitStatus()}, nil
		}
	}
}

// stop ends every process of the container but this one.
func stop(grace time.Duration) {
	_ = syscall.Kill(-1, syscall.SIGTERM)
	time.Sleep(grace)
	_ = syscall.Kill(-1, syscall.SIGKILL)
}
