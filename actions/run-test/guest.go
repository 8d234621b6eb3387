package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/action"
)

var (
	firmwares = []string{"bios", "uefi", "uefi-secure"}
	platforms = []string{"qemu", "qemu-iso"}
	diskKinds = []string{"nvme", "multipath", "native-4k"}
	diskFlags = map[string]string{"nvme": "--qemu-nvme", "multipath": "--qemu-multipath", "native-4k": "--qemu-native-4k"}

	distroName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)
	shardName  = regexp.MustCompile(`^[1-9][0-9]{0,3}/[1-9][0-9]{0,3}$`)
)

// readGuest reads what guests are like.
func readGuest(step *action.Step) []string {
	var args []string
	if firmware := oneOf(step, "firmware", firmwares); firmware != "" {
		args = append(args, "--qemu-firmware="+firmware)
	}
	if platform := oneOf(step, "test-platform", platforms); platform != "" {
		args = append(args, "--platform="+platform)
	}
	kinds := step.Choices("disk-kind", diskKinds...)
	for _, kind := range kinds {
		args = append(args, diskFlags[kind])
	}
	if slices.Contains(kinds, "nvme") && slices.Contains(kinds, "multipath") {
		step.Wrong("disk-kind", "has nvme and multipath", "a disk is one of them; test each in a job of its own")
	}
	distro := step.Input("distro")
	if distro != "" && !distroName.MatchString(distro) {
		step.Wrong("distro", fmt.Sprintf("is %q", distro), "write the name that tests give under distros, such as nestos")
	}
	if distro != "" {
		args = append(args, "--distro="+distro)
	}
	return args
}

// readRerun reads which part of the tests runs, and what a failure comes to.
func readRerun(step *action.Step) []string {
	var args []string
	shard := step.Input("shard")
	if shard != "" && !shardName.MatchString(shard) {
		step.Wrong("shard", fmt.Sprintf("is %q", shard), "write which part of how many, such as 1/3")
	}
	if shard != "" {
		args = append(args, "--sharding=hash:"+shard)
	}
	rerun := step.Bool("rerun")
	if rerun {
		args = append(args, "--rerun")
	}
	tags := words(step, "allow-rerun-success", "name tags, or all")
	if len(tags) > 0 && !rerun {
		step.Wrong("allow-rerun-success", "is set without rerun", "set rerun: 'true'")
	}
	if len(tags) > 0 {
		args = append(args, "--allow-rerun-success=tags="+strings.Join(tags, ","))
	}
	return args
}

// oneOf reads an input that is one of some words, or empty.
func oneOf(step *action.Step, input string, known []string) string {
	word := step.Input(input)
	if word != "" && !slices.Contains(known, word) {
		step.Wrong(input, fmt.Sprintf("is %q", word), "write "+strings.Join(known, ", ")+", or leave it empty")
	}
	return word
}
