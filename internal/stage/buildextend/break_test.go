package buildextend_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/stage/buildextend"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

const childEnv = "NOSA_TEST_EXTEND"

var all = []image.Kind{image.QEMU, image.Metal, image.Metal4k, image.Live}

// A process that is killed takes its mounts along, what it had finished is whole
// and stays, and the next one makes the rest.
func TestKilledRun(t *testing.T) {
	p := newPlace(t, false)
	for _, moment := range []string{"deploying", "filling", "compressing the root", "writing mini-1.0-qemu", "checksum the", "writing the ISO"} {
		p.killAt(moment)
		p.noMounts()
		view, err := p.build.View()
		require.NoError(t, err)
		for name := range view.Images {
			p.image(name)
		}
	}
	_, err := p.extend(all...)
	require.NoError(t, err)
	p.clean()
	for _, kind := range all[:3] {
		p.image(string(kind))
	}
	p.image("live-iso")
}

// killAt runs a process that makes all images, and kills it when it says
// something, or lets it end when it does not.
func (p *place) killAt(moment string) {
	p.t.Helper()
	self, err := os.Executable()
	require.NoError(p.t, err)
	child := exec.CommandContext(p.t.Context(), self, "-test.run=TestChild")
	child.Env = append(os.Environ(), childEnv+"="+p.dir.Path)
	said, err := child.StderrPipe()
	require.NoError(p.t, err)
	require.NoError(p.t, child.Start())
	if waitFor(p.t, said, moment) {
		time.Sleep(20 * time.Millisecond) // into what it said it begins
		require.NoError(p.t, child.Process.Signal(syscall.SIGKILL))
	}
	err = child.Wait()
	if killed, ok := errors.AsType[*exec.ExitError](err); ok {
		require.Equal(p.t, syscall.SIGKILL, killed.Sys().(syscall.WaitStatus).Signal(), moment)
	}
}

func TestChild(t *testing.T) {
	root := os.Getenv(childEnv)
	if root == "" {
		t.Skip("is started by TestKilledRun")
	}
	dir, err := workdir.Open(root, arch.X86_64)
	require.NoError(t, err)
	_, err = buildextend.Run(context.Background(), tool.Host{}, progress.New(os.Stderr), dir, buildextend.Options{Kinds: all, Fast: true})
	require.NoError(t, err)
}

// waitFor tells whether the text was said before the end.
func waitFor(t *testing.T, r io.Reader, text string) bool {
	t.Helper()
	var all strings.Builder
	buf := make([]byte, 256)
	for !strings.Contains(all.String(), text) {
		n, err := r.Read(buf)
		all.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			return false
		}
		require.NoError(t, err)
	}
	return true
}

const smallEnv = "NOSA_TEST_SMALL"

// Too little space is noticed before anything is made. The file system is one of
// a process of its own.
func TestTooLittleSpaceIsSaidBeforeAnythingIsMade(t *testing.T) {
	if dir := os.Getenv(smallEnv); dir != "" {
		shortOfSpace(t, dir)
		return
	}
	testkit.NeedRoot(t)
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{
		Name: self, Args: []string{"-test.run", "^" + t.Name() + "$"}, Namespaces: true, Env: []string{smallEnv + "=" + dir, "TMPDIR=" + dir},
	})
	require.NoError(t, err, string(out))
}

func shortOfSpace(t *testing.T, dir string) {
	require.NoError(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1g"))
	p := newPlace(t, false)
	var fs unix.Statfs_t
	require.NoError(t, unix.Statfs(dir, &fs))
	const spare = 64 << 20 // for the deployment
	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	require.NoError(t, err)
	require.NoError(t, unix.Fallocate(int(f.Fd()), 0, 0, int64(fs.Bfree)*fs.Bsize-spare))
	require.NoError(t, f.Close())

	_, err = p.extend(all...)

	require.ErrorIs(t, err, image.ErrNoSpace)
	require.Regexp(t, `has \d+ MiB free, the image takes \d+ more`, err.Error())
	p.clean()
	view, err := p.build.View()
	require.NoError(t, err)
	require.Empty(t, view.Images)

	require.NoError(t, os.Remove(filler))
	_, err = p.extend(image.Metal)
	require.NoError(t, err)
}
