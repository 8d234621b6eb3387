package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/assembler"
	"github.com/nestos/nosa-actions/internal/diag"
)

// The suite reads the answer with a reader of its own, as it knows no more than
// the command line.
func TestTheSuiteReadsWhatValidateAnswers(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "manifest.yaml"), []byte("pakages: [x]\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "image.yaml"), []byte("size: 8\n"), 0o644))
	var out, errOut bytes.Buffer

	require.Equal(t, 1, run(t.Context(), []string{"validate", "--json", dir}, nil, &out, &errOut))

	require.Empty(t, errOut.String())
	findings, err := assembler.ParseFindings(out.Bytes(), "/ws/config")
	require.NoError(t, err)
	require.Contains(t, findings, diag.Finding{
		Pos: diag.Pos{File: "/ws/config/manifest.yaml", Line: 1, Column: 1}, Message: `unknown key "pakages"`, Mend: `did you mean "packages"?`,
	})
	require.Contains(t, findings, diag.Finding{
		Severity: diag.Warning, Pos: diag.Pos{File: "/ws/config/platforms.yaml"}, Message: "is missing", Mend: "disk images need it; it may be empty",
	})
}
