package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/testkit/actiontest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"plan": main})
}

// The scripts find a manifest, huge.yaml, that wishes for more than any disk holds.
func TestScripts(t *testing.T) {
	actiontest.Scripts(t, func(p *testscript.Params) {
		setup := p.Setup
		p.Setup = func(env *testscript.Env) error {
			text := "packages: ['" + strings.Repeat("a ", 1_000_000) + "']\n"
			return errors.Join(setup(env), os.WriteFile(filepath.Join(env.WorkDir, "huge.yaml"), []byte(text), 0o644))
		}
	})
}

func TestInputsAgreeWithActionYML(t *testing.T) {
	actiontest.InputsAgree(t, func(s *action.Step) error { return run(t.Context(), s) })
}
