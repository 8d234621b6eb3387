package assembler_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/assembler"
	"github.com/nestos/nosa-actions/internal/diag"
)

func TestParseFindings(t *testing.T) {
	findings, err := assembler.ParseFindings([]byte(`{"errors": 1, "findings": [
		{"severity": "error", "file": "manifests/a.yaml", "line": 3, "column": 5, "message": "m", "mend": "n"},
		{"severity": "warning", "file": "/elsewhere/b", "message": "w"},
		{"severity": "warning", "file": "", "message": "of no file"}]}`), "/ws/config")
	require.NoError(t, err)
	require.Equal(t, []diag.Finding{
		{Pos: diag.Pos{File: "/ws/config/manifests/a.yaml", Line: 3, Column: 5}, Message: "m", Mend: "n"},
		{Severity: diag.Warning, Pos: diag.Pos{File: "/elsewhere/b"}, Message: "w"},
		{Severity: diag.Warning, Message: "of no file"},
	}, findings)
	for _, text := range []string{"", "No errors", `{"findings": [{"file": "a"}]}`, `{"findings": [{"message": "a", "line": -1}]}`} {
		_, err := assembler.ParseFindings([]byte(text), "/ws")
		require.ErrorContains(t, err, "read the findings: ", text)
	}
}

func FuzzParseFindings(f *testing.F) {
	f.Add([]byte(`{"findings": [{"severity": "error", "file": "a", "line": 1, "column": 1, "message": "m"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		findings, err := assembler.ParseFindings(data, "/config")
		if err != nil {
			require.Empty(t, findings)
		}
		for _, finding := range findings {
			require.NotEmpty(t, finding.Message)
		}
	})
}

func TestUnknownCommand(t *testing.T) {
	require.False(t, assembler.UnknownCommand(nil))
	require.False(t, assembler.UnknownCommand(errors.New("unknown command")), "it did not come from a stage")
}
