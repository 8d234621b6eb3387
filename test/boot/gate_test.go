package boot_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/boottime"
	"github.com/nestos/nosa-actions/internal/kola"
	"github.com/nestos/nosa-actions/internal/tool"
)

const budgets = "boot:\n  userspace: {seconds: 1}\n  total: {seconds: 1}\n"

// delay is a unit that holds the start up.
const delay = "[Unit]\nDescription=Hold the start up\n\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sleep 2\n"

// The gate of boot time catches a delay of two seconds that a change of the config
// brings, by its unit, and not a build without one.
func TestGateOfBootTime(t *testing.T) {
	need(t)
	root := t.TempDir()
	config := filepath.Join(root, "config")
	host(t, "", "cp", "-r", "../../examples/nestos-mini", config)
	require.NoError(t, os.WriteFile(filepath.Join(config, boottime.FileName), []byte(budgets), 0o644))
	w := program(t, root)
	w.compose(t, config)
	w.nosa(t, "buildextend-qemu")
	for range boottime.Enough {
		require.Equal(t, kola.Pass, w.gate(t).Verdict)
	}

	w.nosa(t, "build", "--force")
	unchanged := w.gate(t)
	require.Equal(t, kola.Pass, unchanged.Verdict, unchanged.Output)
	require.Empty(t, unchanged.Output, "it is held against enough starts")

	units := filepath.Join(config, "overlay.d/05core/usr/lib/systemd/system")
	wants := filepath.Join(units, "multi-user.target.wants")
	require.NoError(t, os.MkdirAll(wants, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(units, "nosa-delay.service"), []byte(delay), 0o644))
	require.NoError(t, os.Symlink("../nosa-delay.service", filepath.Join(wants, "nosa-delay.service")))
	w.nosa(t, "build")
	slow := w.gate(t)
	require.Equal(t, kola.Fail, slow.Verdict)
	require.Contains(t, slow.Output, "budgets.yaml:2:3: userspace takes ")
	require.Contains(t, slow.Output, "nosa-delay.service is new and takes 2.")
}

// gate boots the newest build and returns what the gate says of that.
func (w work) gate(t *testing.T) kola.Result {
	t.Helper()
	out := filepath.Join(t.TempDir(), "kola")
	// The run as a whole fails where the gate does.
	_, _ = tool.Host{}.Run(t.Context(), tool.Cmd{
		Name: w.program, Args: []string{"kola", "run", "--output-dir", out, "basic"}, Dir: w.dir, Stdout: os.Stdout, Stderr: os.Stderr,
	})
	text, err := os.ReadFile(filepath.Join(out, "reports/report.json"))
	require.NoError(t, err)
	var report kola.Report
	require.NoError(t, json.Unmarshal(text, &report))
	require.Len(t, report.Tests, 2, "basic and the gate")
	require.Equal(t, kola.Pass, report.Tests[0].Verdict, report.Tests[0].Output)
	require.Equal(t, "gate/boot", report.Tests[1].Name)
	return report.Tests[1]
}
