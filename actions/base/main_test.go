package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/testkit/actiontest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"base": main})
}

func TestScripts(t *testing.T) { actiontest.Scripts(t) }

func TestInputsAgreeWithActionYML(t *testing.T) {
	actiontest.InputsAgree(t, func(s *action.Step) error { return run(t.Context(), s) })
}
