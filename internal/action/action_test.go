package action

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/plan"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/tool/tooltest"
)

func step(env map[string]string) (*Step, *bytes.Buffer) {
	var out bytes.Buffer
	return New(func(name string) (string, bool) { value, ok := env[name]; return value, ok }, &out), &out
}

func TestInputsAreReadAndAllFaultsAreTold(t *testing.T) {
	s, _ := step(map[string]string{
		"NOSA_INPUT_CONFIG": " . ", "NOSA_INPUT_WORK_DIR": "", "NOSA_INPUT_STRICT": "True", "NOSA_INPUT_FORCE": "yes",
		"NOSA_INPUT_DAYS": "91", "NOSA_INPUT_PLATFORMS": "qemu, metal\nqemu", "NOSA_INPUT_NAME": "a\nb",
	})

	require.Equal(t, ".", s.Required("config"))
	require.Empty(t, s.Required("work-dir"))
	require.True(t, s.Bool("strict"))
	s.Bool("force")
	s.Int("days", 1, 90)
	s.Choices("platforms", "qemu")
	s.Input("name")
	s.Input("absent")

	require.EqualError(t, s.InputErr(), strings.Join([]string{
		`input work-dir is required`,
		`input force is "yes"; write true or false`,
		`input days is "91"; write a whole number from 1 to 90`,
		`input platforms names "qemu" twice`,
		`input platforms has the unknown word "metal"; known are qemu`,
		`input name has more than one line`,
		`input absent is not mapped to NOSA_INPUT_ABSENT; map it under env in action.yml`,
	}, "\n"))
}

func TestOutputsReachTheFileOfTheRunner(t *testing.T) {
	file := filepath.Join(t.TempDir(), "output")
	s, _ := step(map[string]string{"GITHUB_OUTPUT": file})

	require.NoError(t, s.Output("build-id", "1.0 = x"))

	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(got), "build-id<<")
	require.Contains(t, string(got), "\n1.0 = x\n")
}

func TestOutputsThatWouldForgeOthersAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "output")
	s, _ := step(map[string]string{"GITHUB_OUTPUT": file})

	for _, value := range []string{"a\nb", "a\r", "x\n_GitHubActionsFileCommandDelimeter_\nevil=1"} {
		require.ErrorContains(t, s.Output("build-id", value), "line break")
	}
	require.ErrorContains(t, s.Output("a=b", "x"), "not a name")
	require.NoFileExists(t, file)
}

func TestAnOutputFileThatCannotBeWrittenIsAnError(t *testing.T) {
	s, _ := step(map[string]string{"GITHUB_OUTPUT": filepath.Join(t.TempDir(), "no", "such")})
	require.ErrorContains(t, s.Output("x", "y"), "output x: open ")
	require.ErrorContains(t, s.Summary("x"), "GITHUB_STEP_SUMMARY is not set")
}

func TestALongSummaryIsCut(t *testing.T) {
	file := filepath.Join(t.TempDir(), "summary")
	s, _ := step(map[string]string{"GITHUB_STEP_SUMMARY": file})

	for _, size := range []int{plan.MaxSummary - 3, plan.MaxSummary - 2, plan.MaxSummary + 5} { // the runner counts the final line break
		require.NoError(t, os.RemoveAll(file))
		require.NoError(t, s.Summary(strings.Repeat("ä", size/2)))
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.LessOrEqual(t, info.Size(), int64(plan.MaxSummary))
	}
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, bytes.HasSuffix(got, []byte("*The rest was too long for a job summary.*\n\n")))
}

func TestFailuresBecomeAnnotationsAndExitCodes(t *testing.T) {
	var found diag.List
	found.Addf(diag.Pos{File: "/ws/cfg/manifest.yaml", Line: 12, Column: 5}, "unknown key %q", "pakages")
	found.Warnf(diag.Pos{File: "cfg/image.yaml", Line: 3}, "size is large")
	found.Addf(diag.Pos{File: "/elsewhere/x.yaml", Line: 1}, "bad: 100%%\nreally")
	for name, c := range map[string]struct {
		run  func(context.Context, *Step) error
		code int
		out  string
	}{
		"success": {func(context.Context, *Step) error { return nil }, 0, ""},
		"error":   {func(context.Context, *Step) error { return errors.New("no space: 5% left") }, 1, "::error::no space: 5%25 left\n"},
		"findings": {func(context.Context, *Step) error { return fmt.Errorf("load: %w", found.Err()) }, 1,
			"::error::/elsewhere/x.yaml:1: bad: 100%25%0Areally\n" +
				"::error col=5,file=cfg/manifest.yaml,line=12::unknown key \"pakages\"\n" +
				"::warning file=cfg/image.yaml,line=3::size is large\n"},
		"exit code": {func(context.Context, *Step) error { return fmt.Errorf("nosa build: %w", coded{77}) }, 77, "::error::nosa build: coded\n"},
		"reported":  {func(context.Context, *Step) error { return &reported{3} }, 3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, out := step(map[string]string{"GITHUB_WORKSPACE": "/ws"})
			require.Equal(t, c.code, s.run(t.Context(), c.run))
			require.Equal(t, c.out, out.String())
		})
	}
}

type coded struct{ code int }

func (coded) Error() string   { return "coded" }
func (c coded) ExitCode() int { return c.code }

func TestAPanicIsOneAnnotationAndTheStack(t *testing.T) {
	s, out := step(nil)

	code := s.run(t.Context(), func(context.Context, *Step) error { panic("index out of range") })

	require.Equal(t, exitInternal, code)
	first, rest, _ := strings.Cut(out.String(), "\n")
	require.Equal(t, "::error::internal error: index out of range; this is a bug of nosa-actions, please report it with the log", first)
	require.Contains(t, rest, "action_test.go")
}

func TestACancelIsSaidOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, out := step(nil)

	code := s.run(ctx, func(ctx context.Context, _ *Step) error {
		cancel()
		return fmt.Errorf("stage: %w", ctx.Err())
	})

	require.Equal(t, exitCancelled, code)
	require.Equal(t, "::error::cancelled\n", out.String())
}

func TestLogLinesAreNeverCommands(t *testing.T) {
	s, out := step(nil)

	s.Log("%s", "::set-output name=x::y\n  ::error::z\r::add-mask::a\nplain ##[error]text")

	require.Equal(t, ": :set-output name=x::y\n  : :error::z ::add-mask::a\nplain # #[error]text\n", out.String())
}

func TestAUserWithoutSudoIsToldWhatToDo(t *testing.T) {
	host := tooltest.New(t).On("sudo -n true", "", &tool.Error{
		Cmd: tool.Cmd{Name: "sudo"}, Stderr: "sudo: a password is required\n", Err: errors.New("exit status 1"),
	})

	err := elevateWith(t.Context(), host, "/bin/self")

	require.EqualError(t, err, "this step needs root; run the job as root or allow sudo without a password: sudo: exit status 1: sudo: a password is required")
}

func TestInputNamesMapToVariables(t *testing.T) {
	require.Equal(t, "NOSA_INPUT_RETENTION_DAYS", InputVariable("retention-days"))
}

func TestTheProcessBelowSudoEndsWithTheOneAbove(t *testing.T) {
	held, hold := io.Pipe()
	lookup := func(name string) (string, bool) { return map[string]string{"NOSA_LIFELINE": "stdin"}[name], true }
	ctx, release := heed(t.Context(), lookup, held)
	defer release()
	require.NoError(t, ctx.Err())

	require.NoError(t, hold.Close())

	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("it lives on")
	}
}

func TestInputsThatDeceiveOrOverflowAreRefused(t *testing.T) {
	s, _ := step(map[string]string{
		"NOSA_INPUT_A": strings.Repeat("x", maxInput+1), "NOSA_INPUT_B": "a\xff", "NOSA_INPUT_C": "a\u202eb", "NOSA_INPUT_D": "a\x1b[2J",
		"NOSA_INPUT_E": strings.Repeat("x", maxInput), "NOSA_INPUT_F": "né 👩\u200d🚀",
	})
	for _, name := range []string{"a", "b", "c", "d"} {
		require.Empty(t, s.Input(name))
	}
	require.Len(t, s.Input("e"), maxInput)
	require.Equal(t, "né 👩\u200d🚀", s.Input("f"))
	require.EqualError(t, s.InputErr(), strings.Join([]string{
		"input a is 16385 bytes long; at most 16384 are allowed",
		"input b is not UTF-8",
		"input c has a character that is not to be seen, such as a control character; write it anew",
		"input d has a character that is not to be seen, such as a control character; write it anew",
	}, "\n"))
}

func TestJSONOfGitHubsMayBeLong(t *testing.T) {
	long := `["` + strings.Repeat("x", 100<<10) + `"]`
	s, _ := step(map[string]string{"NOSA_INPUT_A": long, "NOSA_INPUT_B": long + strings.Repeat(" ", 20<<10), "NOSA_INPUT_C": "[1\x00]"})
	var list []string
	require.NoError(t, s.JSON("a", &list))
	require.Len(t, list[0], 100<<10)
	require.Error(t, s.JSON("b", &list))
	require.Error(t, s.JSON("c", &list))
	require.EqualError(t, s.InputErr(), strings.Join([]string{
		"input b is 122884 bytes long; at most 122880 are allowed",
		"input c has a character that is not to be seen, such as a control character; write it anew",
	}, "\n"))
}

func TestLogsShowWhatTheySay(t *testing.T) {
	s, out := step(nil)

	s.Log("%s", "\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b[2Jgone\u202eback\tx\x00\u2028::error::y")
	s.Annotate(errors.New("a\u202eb" + strings.Repeat("x", 2*maxAnnotation) + "end"))

	log, annotation, _ := strings.Cut(out.String(), "\n")
	require.Equal(t, "\x1b[31mred\x1b[0m ]0;title[2Jgoneback\tx ::error::y", log)
	require.Less(t, len(annotation), maxAnnotation+20)
	require.Regexp(t, `^::error::abx+ \[\.\.\.\] x+end\n$`, annotation)
}
