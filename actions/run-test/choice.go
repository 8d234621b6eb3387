package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nestos/nosa-actions/internal/action"
)

// readChoice reads the inputs that say which tests run, and on what guests, as
// arguments of nosa kola run.
func readChoice(step *action.Step) []string {
	args := []string{"--parallel=" + readParallel(step)}
	for _, option := range []struct{ input, flag, mend string }{
		{"tags", "--tag", "name tags, or !TAG"},
		{"denylist-tests", "--denylist-test", "name tests, or patterns of their names"},
	} {
		for _, word := range words(step, option.input, option.mend) {
			args = append(args, option.flag+"="+word)
		}
	}
	for _, option := range []struct {
		input, flag string
		low, high   int
	}{
		{"memory", "--qemu-memory", 256, 1 << 20},
		{"disk-size", "--qemu-size", 1, 1 << 14},
		{"extend-timeout", "--extend-timeout-percentage", 1, 10000},
	} {
		if n := step.Int(option.input, option.low, option.high); n > 0 {
			args = append(args, fmt.Sprintf("%s=%d", option.flag, n))
		}
	}
	if firmware := readFirmware(step); firmware != "" {
		args = append(args, "--qemu-firmware="+firmware)
	}
	if step.Bool("no-network") {
		args = append(args, "--no-net")
	}
	return append(args, words(step, "tests", "name tests, or patterns of their names")...)
}

func readParallel(step *action.Step) string {
	parallel := step.Required("parallel")
	if n, err := strconv.Atoi(parallel); parallel != "auto" && parallel != "" && (err != nil || n < 1) {
		step.Wrong("parallel", fmt.Sprintf("is %q", parallel), "write a number from 1, or auto")
	}
	return parallel
}

var firmwares = []string{"bios", "uefi", "uefi-secure"}

func readFirmware(step *action.Step) string {
	firmware := step.Input("firmware")
	if firmware != "" && !slices.Contains(firmwares, firmware) {
		step.Wrong("firmware", fmt.Sprintf("is %q", firmware), "write "+strings.Join(firmwares, ", ")+", or leave it empty")
	}
	return firmware
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
