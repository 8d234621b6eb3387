package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/job"
)

// choice is which tests run, and on what guests.
type choice struct {
	args     []string   // flags of nosa kola run
	paths    []job.Path // that other flags name
	patterns []string   // of tests
}

// pathFlags are the flags whose values are paths, by the input that has them.
var pathFlags = map[string]string{
	"append-ignition": "--append-ignition", "append-butane": "--append-butane", "external-tests": "--exttest",
}

func (c choice) arguments(j *job.Job) []string {
	args := slices.Clone(c.args)
	for _, p := range c.paths {
		args = append(args, pathFlags[p.Input]+"="+j.Inside(p.Path))
	}
	return append(args, c.patterns...)
}

func readChoice(step *action.Step) choice {
	c := choice{args: []string{"--parallel=" + readParallel(step)}}
	for _, option := range []struct{ input, flag, mend string }{
		{"tags", "--tag", "name tags, or !TAG"},
		{"denylist-tests", "--denylist-test", "name tests, or patterns of their names"},
		{"debug-units", "--debug-systemd-unit", "name units, such as sshd.service"},
	} {
		for _, word := range words(step, option.input, option.mend) {
			c.args = append(c.args, option.flag+"="+word)
		}
	}
	for _, option := range []struct {
		input, flag string
		low, high   int
	}{
		{"memory", "--qemu-memory", 256, 1 << 20},
		{"disk-size", "--qemu-size", 1, 1 << 14},
		{"extend-timeout", "--extend-timeout-percentage", 1, 10000},
		{"multiply", "--multiply", 1, 1000},
	} {
		if n := step.Int(option.input, option.low, option.high); n > 0 {
			c.args = append(c.args, fmt.Sprintf("%s=%d", option.flag, n))
		}
	}
	c.args = append(c.args, readGuest(step)...)
	if step.Bool("no-network") {
		c.args = append(c.args, "--no-net")
	}
	c.args = append(c.args, readRerun(step)...)
	for _, option := range []struct {
		input string
		dir   bool
	}{{"append-ignition", false}, {"append-butane", false}, {"external-tests", true}} {
		c.paths = append(c.paths, job.ReadPaths(step, option.input, option.dir)...)
	}
	c.patterns = words(step, "tests", "name tests, or patterns of their names")
	return c
}

func readParallel(step *action.Step) string {
	parallel := step.Required("parallel")
	if n, err := strconv.Atoi(parallel); parallel != "auto" && parallel != "" && (err != nil || n < 1) {
		step.Wrong("parallel", fmt.Sprintf("is %q", parallel), "write a number from 1, or auto")
	}
	return parallel
}

// words are those of a list, none of which may be taken for an option.
func words(step *action.Step, input, mend string) []string {
	list := step.List(input)
	for _, word := range list {
		if strings.HasPrefix(word, "-") {
			step.Wrong(input, fmt.Sprintf("has the word %q", word), mend)
		}
	}
	return list
}
