package kola

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

func TestBatchTellsWhatEachCommandLeft(t *testing.T) {
	testkit.NeedTool(t, "bash")
	script := batchScript
	for _, c := range []string{"echo one; echo 'it'\\''s two'", "echo wrong >&2; exit 3", "cat; sleep 0.2"} {
		script += fmt.Sprintf("one %s\n", quote(c))
	}
	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "bash", Args: []string{"-s"}, Stdin: strings.NewReader(script)})
	require.NoError(t, err)
	answers, err := parseBatch(out)
	require.NoError(t, err)
	require.Len(t, answers, 3)
	require.Equal(t, "one\nit's two", string(answers[0].Stdout))
	require.Equal(t, 3, answers[1].Status)
	require.Equal(t, "wrong", string(answers[1].Stderr))
	require.GreaterOrEqual(t, answers[2].took, 200*time.Millisecond)
	require.Empty(t, answers[2].Stdout, "a command has no input")

	cut, err := parseBatch(out[:len(out)-1])
	require.NoError(t, err)
	require.Len(t, cut, 2, "the last answer is not whole")
	_, err = parseBatch([]byte("a\x000\x00\x00\x00"))
	require.ErrorContains(t, err, "the guest answers")
}

func FuzzParseBatch(f *testing.F) {
	f.Add([]byte("1.5 2.5\x000\x00out\x00err\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		answers, _ := parseBatch(text)
		require.LessOrEqual(t, len(answers), len(text)/4)
	})
}
