package publish

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/nestos/nosa-actions/internal/release"
)

// part is an asset's part of its file, as the body of a request. It lets the kernel
// send the file by itself where the connection is not encrypted.
type part struct {
	file *os.File
	end  int64
}

func openPart(a release.Asset) (*part, error) {
	f, err := os.Open(a.Path)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(a.Offset, io.SeekStart); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &part{f, a.Offset + a.Size}, nil
}

// Read reads from where the file stands: the kernel may have sent some of it.
func (p *part) Read(buf []byte) (int, error) {
	at, err := p.position()
	if err != nil {
		return 0, err
	}
	left := p.end - at
	if left <= 0 {
		return 0, io.EOF
	}
	return p.file.Read(buf[:min(left, int64(len(buf)))])
}

// SyscallConn is what package net asks for to use sendfile(2); it is given the
// request's Content-Length as the limit, which is our size.
func (p *part) SyscallConn() (syscall.RawConn, error) { return p.file.SyscallConn() }

// Close may be called more than once.
func (p *part) Close() error { return p.file.Close() }

func (p *part) position() (int64, error) { return p.file.Seek(0, io.SeekCurrent) }

// errStalled ends a transfer in which nothing moves.
var errStalled = errors.New("no byte has moved for too long")

// watch ends a context when a transfer stands still for a while: that is what
// bounds it, not its length.
type watch struct {
	limit  time.Duration
	timer  *time.Timer
	cancel context.CancelCauseFunc

	mu   sync.Mutex
	part *part
	at   int64
}

func watched(parent context.Context, limit time.Duration) (context.Context, *watch) {
	ctx, cancel := context.WithCancelCause(parent)
	w := &watch{limit: limit, cancel: cancel}
	w.timer = time.AfterFunc(limit, w.look)
	return ctx, w
}

// follow watches the position of a part.
func (w *watch) follow(p *part) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.part, w.at = p, -1
}

func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.part != nil {
		if at, err := w.part.position(); err == nil && at != w.at {
			w.at = at
			w.timer.Reset(w.limit)
			return
		}
	}
	w.cancel(errStalled)
}

// Write counts bytes on their way in as a sign of life.
func (w *watch) Write(p []byte) (int, error) {
	w.timer.Reset(w.limit)
	return len(p), nil
}

func (w *watch) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// cause is err, or that the transfer stood still.
func (w *watch) cause(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		return again{errStalled}
	}
	return err
}
