package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/unit"

	"github.com/nestos/nosa-actions/internal/tool"
)

// virtiofsd are the places where distributions keep the program that shows a
// directory to a guest: QEMU's own up to version 7, later one of its own package.
var virtiofsd = []string{"/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "/usr/lib/virtiofsd", "/usr/bin/virtiofsd"}

// FindVirtiofsd returns the path of the program, or an error that says where
// to get it.
func FindVirtiofsd() (string, error) {
	for _, path := range virtiofsd {
		if isFile(path) {
			return path, nil
		}
	}
	return "", errors.New("no virtiofsd to show directories to the guest; on Debian 12 it comes with qemu-system-common, on later ones and Ubuntu: apt-get install virtiofsd")
}

// ParseBind reads DIR,PATH: a directory here and where the guest has it.
func ParseBind(spec string, writable bool) (Bind, error) {
	dir, at, ok := strings.Cut(spec, ",")
	if !ok || dir == "" || !filepath.IsAbs(at) {
		return Bind{}, fmt.Errorf("bind %q: must be DIR,PATH with an absolute path in the guest, for example .,/var/mnt/work", spec)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Bind{}, err
	}
	if info, err := os.Stat(dir); err != nil {
		return Bind{}, fmt.Errorf("bind %q: %w", spec, err)
	} else if !info.IsDir() {
		return Bind{}, fmt.Errorf("bind %q: %s is not a directory", spec, dir)
	}
	return Bind{Dir: dir, At: filepath.Clean(at), Writable: writable}, nil
}

// serveBinds starts a virtiofsd for each directory and returns their sockets
// below dir. They end with the guest, or with ctx.
func (g *Guest) serveBinds(ctx context.Context, r tool.Runner, binds []Bind, dir string) ([]string, error) {
	if len(binds) == 0 {
		return nil, nil
	}
	program, err := FindVirtiofsd()
	if err != nil {
		return nil, err
	}
	var sockets []string
	for i, b := range binds {
		socket := filepath.Join(dir, fmt.Sprintf("bind%d", i))
		p, err := r.Start(ctx, tool.Cmd{Name: program, Args: []string{"--socket-path=" + socket, "-o", "source=" + b.Dir}})
		if err != nil {
			return nil, err
		}
		ended := make(chan error, 1)
		go func() { ended <- p.Wait() }()
		if err := waitForSocket(ctx, socket, ended); err != nil {
			return nil, fmt.Errorf("showing %s to the guest: %w", b.Dir, err)
		}
		sockets = append(sockets, socket)
	}
	return sockets, nil
}

// waitForSocket waits until a program has made its socket, or has ended.
func waitForSocket(ctx context.Context, path string, ended <-chan error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, fmt.Errorf("no socket within %s", answerTime))
	defer cancel()
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		select {
		case err := <-ended:
			if err == nil {
				err = errors.New("ended at once")
			}
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// unit is the mount unit of the directory that the guest knows by a tag. What
// starts wants it but can do without.
func (b Bind) unit(number int) Unit {
	options := "rw"
	if !b.Writable {
		options = "ro"
	}
	return Unit{
		Name: unit.UnitNamePathEscape(b.At) + ".mount", Enabled: true,
		Content: fmt.Sprintf("[Unit]\nDescription=Directory of the host at %[1]s\nBefore=multi-user.target\n\n"+
			"[Mount]\nWhat=bind%[2]d\nWhere=%[1]s\nType=virtiofs\nOptions=%[3]s\n\n"+
			"[Install]\nWantedBy=multi-user.target\n", specifiers(b.At), number, options),
	}
}

// specifiers protects the percent signs of a text in a unit file.
func specifiers(text string) string { return strings.ReplaceAll(text, "%", "%%") }
