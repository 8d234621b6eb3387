package enginetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/assembler/container"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// suite is one engine with one image of busybox.
type suite struct {
	root     string
	programs Programs
	engine   container.Engine
	image    container.Image
}

// Conformance tests what container.Engine promises.
func Conformance(t *testing.T, make Maker) {
	testkit.NeedRoot(t)
	s := &suite{root: t.TempDir(), programs: Build(t)}
	t.Cleanup(func() { _ = syscall.Unmount(filepath.Join(s.root, "graph/overlay"), 0) }) // podman leaves it mounted on itself
	s.engine = make(s.root, s.programs)
	t.Cleanup(func() { require.NoError(t, s.engine.Close()) })
	ref := parse(t, "oci-archive:"+Archive(t, Busybox(t, "")))
	var err error
	s.image, err = s.engine.Pull(t.Context(), ref)
	require.NoError(t, err)
	require.Equal(t, []string{"PATH=/bin", "FROM_IMAGE=yes"}, s.image.Config.Env)
	require.Equal(t, "builder", s.image.Config.User)

	for name, test := range map[string]func(*testing.T){
		"the command sees its world":           s.world,
		"endings are told apart":               s.endings,
		"output comes live":                    s.live,
		"two at once":                          s.parallel,
		"cancel":                               s.cancel,
		"time-out":                             s.timeout,
		"a kill leaves nothing":                s.kill,
		"what is wrong is said before":         s.refused,
		"pull":                                 s.pull,
		"nothing of the machine's environment": s.secrets,
	} {
		t.Run(name, test)
	}
}

func parse(t testing.TB, text string) container.Reference {
	t.Helper()
	ref, err := container.ParseReference(text)
	require.NoError(t, err)
	return ref
}

// sh runs a script as root and returns both streams.
func (s *suite) sh(t *testing.T, script string, change func(*container.RunSpec)) (string, string, error) {
	t.Helper()
	var out, errOut bytes.Buffer
	spec := container.RunSpec{Image: s.image, Command: []string{"sh", "-c", script}, User: "root", Stdout: &out, Stderr: &errOut}
	if change != nil {
		change(&spec)
	}
	err := s.engine.Run(t.Context(), spec)
	return out.String(), errOut.String(), err
}

func (s *suite) world(t *testing.T) {
	srv := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(srv, "in"), []byte("from outside"), 0o644))
	out, errOut, err := s.sh(t, `cat in; echo; echo "$A|$FROM_IMAGE"; pwd; id -u; cat; echo to stderr >&2
echo from inside >out; touch /ro/x || echo read-only; grep -q ' /tmp tmpfs' /proc/mounts && echo tmpfs
mkdir /tmp/p /tmp/m && mount -t proc proc /tmp/p && mount -t tmpfs x /tmp/m && echo mounts
unshare -Urm sh -c 'unshare -pf mount -t proc proc /tmp/p' && echo nested
test -c /dev/fuse && echo fuse; test -e /nothing || echo none`, func(r *container.RunSpec) {
		r.Env = []string{"A=a b"}
		r.WorkingDir = "/srv"
		r.Mounts = []container.Mount{{Source: srv, Target: "/srv"}, {Source: srv, Target: "/ro", ReadOnly: true}}
		r.TmpFS = []string{"/tmp"}
		r.Devices = []string{"/dev/fuse"}
	})
	require.NoError(t, err)
	require.Equal(t, "from outside\na b|yes\n/srv\n0\nread-only\ntmpfs\nmounts\nnested\nfuse\nnone\n", out)
	require.Contains(t, errOut, "to stderr\n")
	written, err := os.ReadFile(filepath.Join(srv, "out"))
	require.NoError(t, err)
	require.Equal(t, "from inside\n", string(written))

	out, _, err = s.sh(t, "id -un; pwd", func(r *container.RunSpec) { r.User = "" })
	require.NoError(t, err)
	require.Equal(t, "builder\n/mnt\n", out, "user and directory of the image")
}

func (s *suite) endings(t *testing.T) {
	for _, code := range []string{"1", "7", "125", "126", "127", "137", "255"} {
		_, _, err := s.sh(t, "exit "+code, nil)
		var exit *container.ExitError
		require.ErrorAs(t, err, &exit)
		require.EqualError(t, err, "exit status "+code)
	}
	_, _, err := s.sh(t, "kill -SEGV $$", nil)
	var bySignal *container.SignalError
	require.ErrorAs(t, err, &bySignal)
	require.Equal(t, syscall.SIGSEGV, bySignal.Signal)

	_, _, err = s.sh(t, "", func(r *container.RunSpec) { r.Command = []string{"no-such-program"} })
	var command *container.CommandError
	require.ErrorAs(t, err, &command)
	require.ErrorContains(t, err, "no-such-program: not found in the image")

	_, _, err = s.sh(t, "", func(r *container.RunSpec) { r.Image.ID = strings.Repeat("0", 64) })
	var runtime *container.RuntimeError
	require.ErrorAs(t, err, &runtime)
	_, _, err = s.sh(t, "true", func(r *container.RunSpec) { r.User = "nobody-knows" })
	require.ErrorAs(t, err, &runtime)
	require.ErrorContains(t, err, "nobody-knows")
}

// clock notes when something is written first.
type clock struct {
	mu    sync.Mutex
	first time.Time
}

func (c *clock) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first.IsZero() {
		c.first = time.Now()
	}
	return len(p), nil
}

func (s *suite) live(t *testing.T) {
	var c clock
	_, _, err := s.sh(t, "echo now; sleep 1", func(r *container.RunSpec) { r.Stdout = &c })
	require.NoError(t, err)
	require.Greater(t, time.Since(c.first), time.Second)

	out, _, err := s.sh(t, "head -c 3000000 /dev/zero | tr '\\0' x", nil)
	require.NoError(t, err)
	require.Len(t, out, 3000000, "all of the output has come when Run returns")
}

func (s *suite) parallel(t *testing.T) {
	shared := t.TempDir()
	script := func(me, other string) string {
		return "touch /srv/" + me + "; while ! test -e /srv/" + other + "; do sleep 0.05; done; echo " + me
	}
	var wait sync.WaitGroup
	for _, names := range [][2]string{{"a", "b"}, {"b", "a"}} {
		wait.Go(func() {
			out, _, err := s.sh(t, script(names[0], names[1]), func(r *container.RunSpec) {
				r.Mounts = []container.Mount{{Source: shared, Target: "/srv"}}
			})
			if err != nil || out != names[0]+"\n" {
				t.Errorf("%s: %q, %v", names[0], out, err)
			}
		})
	}
	wait.Wait()
}

func (s *suite) cancel(t *testing.T) {
	marker := mark(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stopped by the test")
	var out bytes.Buffer
	go func() {
		waitFor(marker)
		cancel(stop)
	}()
	begin := time.Now()
	err := s.engine.Run(ctx, container.RunSpec{
		Image: s.image, User: "root", Stdout: &out,
		Command: []string{"sh", "-c", "trap 'echo asked; exit 3' TERM; sleep " + marker + " & wait"},
	})
	require.ErrorIs(t, err, stop)
	require.Equal(t, "asked\n", out.String(), "the command is asked first")
	require.Less(t, time.Since(begin), 10*time.Second)
	s.nothingLeft(t, marker)
}

func (s *suite) timeout(t *testing.T) {
	for _, after := range []time.Duration{0, 20 * time.Millisecond, 80 * time.Millisecond, 150 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		marker := mark(t)
		err := s.engine.Run(ctx, container.RunSpec{Image: s.image, Command: []string{"sleep", marker}, Grace: 300 * time.Millisecond})
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded, "at any moment of the start")
		s.nothingLeft(t, marker)
	}
	marker := mark(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := s.engine.Run(ctx, container.RunSpec{
		Image: s.image, Grace: 300 * time.Millisecond,
		Command: []string{"sh", "-c", "trap '' TERM; sleep " + marker + " & sleep " + marker},
	})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	s.nothingLeft(t, marker)
}

// kill ends a process that runs a container with a loop mount in it, as the
// kernel does when memory is short.
func (s *suite) kill(t *testing.T) {
	testkit.NeedTool(t, "mke2fs", "losetup")
	marker, srv := mark(t), t.TempDir()
	disk := filepath.Join(srv, "disk-"+marker)
	require.NoError(t, os.WriteFile(disk, nil, 0o644))
	require.NoError(t, os.Truncate(disk, 1<<20))
	_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "mke2fs", Args: []string{"-q", "-F", disk}})
	require.NoError(t, err)
	spec := container.RunSpec{
		Image: s.image, User: "root", Mounts: []container.Mount{{Source: srv, Target: "/srv"}},
		Devices: []string{"/dev/loop-control", "/dev/loop0", "/dev/loop1", "/dev/loop2", "/dev/loop3", "/dev/loop4", "/dev/loop5", "/dev/loop6", "/dev/loop7"},
		Command: []string{"sh", "-c", "mount -t ext2 -o loop /srv/disk-" + marker + " /mnt && trap '' TERM && sleep " + marker + " & wait"},
		Grace:   300 * time.Millisecond,
	}
	p, said := second(t, job{Root: s.root, Programs: s.programs, Spec: spec})
	require.True(t, waitFor(marker), said.String())
	require.Contains(t, loops(t), "disk-"+marker)
	require.NoError(t, p.Signal(syscall.SIGKILL))
	_ = p.Wait()
	s.nothingLeft(t, marker)
	_, _, err = s.sh(t, "true", nil)
	require.NoError(t, err, "the next start")
	s.nothingLeft(t, marker)
}

// second starts a job in another process of the test program.
func second(t *testing.T, j job) (tool.Process, *bytes.Buffer) {
	t.Helper()
	text, err := json.Marshal(j)
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	var said bytes.Buffer
	p, err := tool.Host{}.Start(t.Context(), tool.Cmd{Name: self, Env: []string{jobVariable + "=" + string(text)}, Stdout: &said, Stderr: &said})
	require.NoError(t, err)
	return p, &said
}

// KillOne kills a process while it runs a command of the image.
func KillOne(t *testing.T, root string, programs Programs, image container.Image) {
	t.Helper()
	marker := mark(t)
	p, said := second(t, job{Root: root, Programs: programs, Spec: container.RunSpec{Image: image, Command: []string{"sleep", marker}}})
	require.True(t, waitFor(marker), said.String())
	require.NoError(t, p.Signal(syscall.SIGKILL))
	_ = p.Wait()
	require.Eventually(t, func() bool { return len(sleepers(marker)) == 0 }, 10*time.Second, 50*time.Millisecond)
}

func loops(t *testing.T) string {
	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "losetup", Args: []string{"--all"}})
	require.NoError(t, err)
	return string(out)
}

func (s *suite) refused(t *testing.T) {
	_, _, err := s.sh(t, "echo ran", func(r *container.RunSpec) {
		r.Mounts = []container.Mount{{Source: "/no/such/dir", Target: "/srv"}}
		r.Devices = []string{"/dev/no-such", "/etc/passwd"}
	})
	require.EqualError(t, err, "mount at /srv: stat /no/such/dir: no such file or directory\n"+
		"device: stat /dev/no-such: no such file or directory\ndevice /etc/passwd is none")
}

func (s *suite) secrets(t *testing.T) {
	const secret = "s3cret-in-the-environment"
	dir := filepath.Join(t.TempDir(), secret)
	require.NoError(t, os.Mkdir(dir, 0o700))
	login := filepath.Join(dir, "auth.json")
	require.NoError(t, os.WriteFile(login, []byte("{}"), 0o600))
	t.Setenv("REGISTRY_AUTH_FILE", login)
	for _, name := range []string{"GITHUB_TOKEN", "ACTIONS_RUNTIME_TOKEN", "INPUT_TOKEN", "RUNNER_TEMP", "HOME", "AWS_SECRET_ACCESS_KEY", "https_proxy"} {
		t.Setenv(name, dir)
	}
	out, errOut, err := s.sh(t, "env; for p in /proc/[0-9]*; do tr '\\0' '\\n' <$p/environ; tr '\\0' ' ' <$p/cmdline; done; cat /proc/mounts", nil)
	require.NoError(t, err)
	require.Contains(t, out, "FROM_IMAGE=yes")
	require.NotContains(t, out+errOut, secret)
}
