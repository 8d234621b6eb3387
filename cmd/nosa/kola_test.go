package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// said runs nosa in an empty directory and returns its status and what it says.
func said(t *testing.T, args ...string) (int, string) {
	t.Helper()
	t.Chdir(t.TempDir())
	var out bytes.Buffer
	status := run(t.Context(), args, strings.NewReader(""), &out, &out)
	return status, out.String()
}

func TestKolaSaysWhatIsWrongWithItsFlags(t *testing.T) {
	for want, args := range map[string][]string{
		`sharding "1/2": must be hash:M/N`:                                                         {"kola", "run", "--qemu-image", "i", "--sharding", "1/2"},
		"--allow-rerun-success a: must be tags=A,B or tags=all":                                    {"kola", "run", "--qemu-image", "i", "--allow-rerun-success", "a"},
		"--qemu-native-4k: a BIOS cannot start from a disk":                                        {"kola", "run", "--qemu-image", "i", "--qemu-native-4k", "--qemu-firmware", "bios"},
		"--qemu-nvme and --qemu-multipath exclude each other":                                      {"kola", "run", "--qemu-image", "i", "--qemu-nvme", "--qemu-multipath"},
		"--qemu-drive-opts and --qemu-multipath exclude each other":                                {"kola", "run", "--qemu-image", "i", "--qemu-drive-opts", "a=b", "--qemu-multipath"},
		"--ssh-on-test-failure needs a terminal":                                                   {"kola", "run", "--qemu-image", "i", "--ssh-on-test-failure"},
		`bind "/tmp": must be DIR,PATH`:                                                            {"kola", "run", "--qemu-image", "i", "--qemu-bind-ro", "/tmp"},
		"at least one of the flags in the group [qemu iso] is required":                            {"kola-run", "-b", "nestos"},
		"stat none.qcow2: no such file or directory":                                               {"kola-run", "-b", "nestos", "--qemu", "none.qcow2"},
		"stat none.iso: no such file or directory":                                                 {"kola-run", "--iso", "none.iso"},
		"if any flags in the group [upgrades basic-qemu-scenarios] are set none of the others can": {"kola", "--upgrades", "--basic-qemu-scenarios"},
	} {
		t.Run(want, func(t *testing.T) {
			status, text := said(t, args...)
			require.Equal(t, 1, status)
			require.Contains(t, text, want)
		})
	}
	for _, command := range [][]string{{"kola", "--upgrades"}, {"kola", "testiso"}, {"kola", "run-upgrade"}} {
		status, text := said(t, command...)
		require.Equal(t, 1, status)
		require.Contains(t, text, "nosa init", command)
	}
}
