package main

import (
	"fmt"
	"regexp"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/job"
)

var (
	commitSum = regexp.MustCompile(`^[0-9a-f]{64}$`)
	tagName   = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._/+-]{0,127}$`)
)

// readChoice reads the inputs that say what build comes out, as arguments of nosa build.
func readChoice(step *action.Step) []string {
	var args []string
	if step.Bool("force") {
		args = append(args, "--force")
	}
	parent, before := step.Input("parent"), job.ReadBuildID(step, "parent-build")
	if parent != "" && !commitSum.MatchString(parent) {
		step.Wrong("parent", fmt.Sprintf("is %q", parent), "write the checksum of an OSTree commit: 64 digits, 0 to 9 and a to f")
	}
	tag := step.Input("build-tag")
	if tag != "" && !tagName.MatchString(tag) {
		step.Wrong("build-tag", fmt.Sprintf("is %q", tag), "write one word of letters, digits, dots, dashes and slashes")
	}
	for _, option := range []struct{ flag, value string }{
		{"--version", step.Input("version")}, {"--parent", parent}, {"--parent-build", before}, {"--tag", tag},
	} {
		if option.value != "" {
			args = append(args, option.flag+"="+option.value)
		}
	}
	return args
}
