package validate

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/boottime"
	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/kola"
)

// tests are the config's tests and its denylist.
type tests struct {
	cases  []kola.Case
	denied []kola.Denial
	// whole says that the cases are all there are, so that a pattern can be
	// held against them.
	whole bool
}

// readTests reads the headers of the tests and the denylist.
func (c *check) readTests(found *diag.List) error {
	builtin, err := kola.Builtin()
	if err != nil {
		return err
	}
	// Tests of a config have its name in a work directory wherever it lies.
	own, err := kola.DiscoverAs("config", c.Dir, found)
	if told(err, c.path("tests/kola"), found); err == nil {
		c.tests.whole = true
	}
	c.tests.cases = append(append(builtin, kola.Inspection()), own...)
	for _, t := range own {
		checkTest(t, found)
	}
	checkNames(c.tests.cases, found)
	file := c.path("kola-denylist.yaml")
	c.tests.denied, err = kola.ReadDenylist(file, found)
	told(err, file, found)
	file = c.path(boottime.FileName)
	_, err = boottime.ReadBudgets(file, found)
	told(err, file, found)
	return nil
}

// checkTest tells of warnings about a test's config, which make it fail.
func checkTest(t kola.Case, found *diag.List) {
	if t.Meta.AllowConfigWarnings {
		return
	}
	for _, warning := range t.ConfigWarnings {
		file, text, ok := strings.Cut(warning, ": ")
		if !ok {
			file, text = t.Config.Name, warning
		}
		found.Add(diag.Finding{
			Severity: diag.Warning, Pos: diag.Pos{File: file}, Message: text,
			Mend: "a warning fails the test unless it says allowConfigWarnings: true",
		})
	}
}

// checkNames reports tests that cannot be told apart.
func checkNames(cases []kola.Case, found *diag.List) {
	first := map[string]string{}
	for _, t := range cases {
		if other, twice := first[t.Name]; twice {
			found.Addf(diag.Pos{File: t.Executable}, "the test is called %s, as is %s", t.Name, other)
		}
		first[t.Name] = t.Executable
	}
}

// checkDenylist warns of entries that have no effect.
func (c *check) checkDenylist(found *diag.List) {
	for _, d := range c.tests.denied {
		fits := func(t kola.Case) bool { return d.Fits(t.Name) }
		if c.tests.whole && !slices.ContainsFunc(c.tests.cases, fits) {
			found.Warnf(d.Pos, "pattern %q fits no test of this config and none that is built in", d.Pattern)
		}
		if !d.Until.IsZero() && !c.Now.Before(d.Until) && !d.Warn {
			found.Add(diag.Finding{
				Severity: diag.Warning, Pos: d.Pos, Message: fmt.Sprintf("the snooze of %q ended on %s; its tests run again", d.Pattern, d.Snooze),
				Mend: "remove the entry, or move the date",
			})
		}
		c.checkConditions(d, found)
	}
}

// checkConditions warns of conditions that hold always, as the manifest does not
// set what they compare.
func (c *check) checkConditions(d kola.Denial, found *diag.List) {
	for _, v := range c.variants {
		for _, condition := range []struct {
			key    string
			values []string
			set    bool
		}{{"streams", d.Streams, v.stream}, {"osversion", d.OSVersion, v.osversion}} {
			if v.manifest == nil || len(condition.values) == 0 || condition.set {
				continue
			}
			variable := strings.TrimSuffix(condition.key, "s")
			found.Warnf(d.Pos, "%s of %q is no condition: %s itself sets no variables.%s", condition.key, d.Pattern, filepath.Base(v.file), variable)
		}
	}
}
