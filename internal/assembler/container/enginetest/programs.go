package enginetest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/assembler/container"
	"github.com/nestos/nosa-actions/internal/tool"
)

// job is what a second process is told to run, as JSON in this variable.
const jobVariable = "NOSA_ENGINETEST_RUN"

// Maker makes the engine under test; root is where it keeps images.
type Maker func(root string, programs Programs) container.Engine

// Programs are the paths of those that engines start.
type Programs struct{ Init, Container string }

type job struct {
	Root     string
	Programs Programs
	Spec     container.RunSpec
}

var built struct {
	sync.Once
	dir string
	err error
}

// Main is the TestMain of an engine's tests. The test program is also the second
// process that some of them kill.
func Main(m *testing.M, make Maker) {
	if text, ok := os.LookupEnv(jobVariable); ok {
		os.Exit(beSecond(text, make))
	}
	code := m.Run()
	_ = os.RemoveAll(built.dir)
	os.Exit(code)
}

func beSecond(text string, make Maker) int {
	var j job
	err := json.Unmarshal([]byte(text), &j)
	if err == nil {
		j.Spec.Stdout, j.Spec.Stderr = os.Stdout, os.Stderr
		err = make(j.Root, j.Programs).Run(context.Background(), j.Spec)
	}
	fmt.Fprintln(os.Stderr, "ended:", err)
	return 0
}

// Build builds the programs, once per test program, as they are shipped.
func Build(t testing.TB) Programs {
	t.Helper()
	built.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "nosa-enginetest-"); built.err != nil {
			return
		}
		_, built.err = tool.Host{}.Run(context.Background(), tool.Cmd{
			Name: "go", Env: []string{"CGO_ENABLED=0"},
			Args: []string{
				"build", "-trimpath", "-tags", "containers_image_openpgp", "-o", built.dir + "/",
				"github.com/nestos/nosa-actions/cmd/nosa-init", "github.com/nestos/nosa-actions/cmd/nosa-container",
			},
		})
	})
	require.NoError(t, built.err)
	return Programs{Init: filepath.Join(built.dir, "nosa-init"), Container: filepath.Join(built.dir, "nosa-container")}
}
