package tool

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRunReturnsTheOutputAndErrorsCarryTheLastWords(t *testing.T) {
	out, err := Host{}.Run(t.Context(), Cmd{Name: "sh", Args: []string{"-c", "cat; echo $WORD"}, Stdin: strings.NewReader("in "), Env: []string{"WORD=word"}})
	require.NoError(t, err)
	require.Equal(t, "in word\n", string(out))

	_, err = Host{}.Run(t.Context(), Cmd{Name: "sh", Args: []string{"-c", "echo first >&2; echo; echo last >&2; exit 7"}})
	require.EqualError(t, err, "sh: exit status 7: first; last")
	failed, ok := errors.AsType[*Error](err)
	require.True(t, ok)
	require.Equal(t, 7, failed.ExitCode())
}

func TestAMissingProgramIsNamedWithItsPackage(t *testing.T) {
	t.Setenv("PATH", "/nothing")
	_, err := Host{}.Run(t.Context(), Cmd{Name: "no-such-program"})
	require.EqualError(t, err, "no-such-program is not installed")
	require.EqualError(t, &MissingError{Name: "mcopy"}, "mcopy is not installed; on Debian and Ubuntu: apt-get install mtools")
	require.ErrorContains(t, Need("no-such-a", "no-such-b"), "no-such-a is not installed\nno-such-b is not installed")
}

func TestCancelEndsTheProgramAndItsChildren(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	process, err := Host{}.Start(ctx, Cmd{
		Name: "sh", Args: []string{"-c", `trap "" TERM; sleep 300 & echo $!; wait; sleep 300`},
		Stdout: &out, Grace: 200 * time.Millisecond,
	})
	require.NoError(t, err)
	time.Sleep(300 * time.Millisecond)
	cancel()
	err = process.Wait()
	require.ErrorIs(t, err, context.Canceled)
	require.EqualError(t, err, "sh: context canceled")
	require.Eventually(t, func() bool {
		return errors.Is(syscall.Kill(-process.Pid(), 0), syscall.ESRCH)
	}, 5*time.Second, 20*time.Millisecond, "nothing of its process group is left")
}

func TestTheLastWordsAreBounded(t *testing.T) {
	last := &tail{limit: 10}
	for range 100 {
		_, err := last.Write([]byte("0123456789abcdef"))
		require.NoError(t, err)
	}
	require.Equal(t, "6789abcdef", last.String())
}

func TestCommandsAreShownAsTyped(t *testing.T) {
	require.Equal(t, `rpm -q '' 'a b' 'it'\''s' plain`, Cmd{Name: "rpm", Args: []string{"-q", "", "a b", "it's", "plain"}}.String())
}

func TestEveryKnownProgramIsInTheTableOnce(t *testing.T) {
	text, err := os.ReadFile("packages.go")
	require.NoError(t, err)
	for name := range packages {
		require.Equal(t, 1, strings.Count(string(text), "\t\""+name+"\":"), name)
	}
}

func TestOneWriterMayTakeBothStreams(t *testing.T) {
	var both bytes.Buffer
	_, err := Host{}.Run(t.Context(), Cmd{
		Name: "sh", Args: []string{"-c", `for i in $(seq 500); do echo out; echo err >&2; done`},
		Stdout: &both, Stderr: &both,
	})
	require.NoError(t, err)
	require.Equal(t, 500*len("out\nerr\n"), both.Len())
}

func TestNothingOutlivesAProgramInNamespacesOfItsOwn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	out, err := Host{}.Run(t.Context(), Cmd{
		Name: "sh", Args: []string{"-c", `mount --make-rprivate / && mount -t tmpfs x "$0" && touch "$0/inside" && (sleep 987650123 >/dev/null 2>&1 &) && echo $$`, dir},
		Namespaces: true,
	})
	require.NoError(t, err)
	require.Equal(t, "1\n", string(out), "it is the first process")
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, list, "its mount is its own")
	require.Eventually(t, func() bool {
		_, err := Host{}.Run(t.Context(), Cmd{Name: "pgrep", Args: []string{"-f", "^sleep 987650123"}})
		return err != nil
	}, 5*time.Second, 20*time.Millisecond, "what it started ends with it")
}
