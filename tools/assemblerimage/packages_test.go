package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// notInside are the packages of programs that only the other side of the
// container's wall or a test of ours runs, that come with the base system or with
// gnupg, or that a guest does without where they are missing (swtpm).
var notInside = []string{"apt", "chromium-headless-shell", "coreutils", "dpkg", "gpg", "gpgconf", "mmdebstrap", "mount", "podman", "runc", "swtpm", "tar", "util-linux"}

func words(t *testing.T, file, pattern string) []string {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var found []string
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
		found = append(found, strings.Fields(match[1])...)
	}
	require.NotEmpty(t, found)
	return found
}

// What a stage needs on a machine it needs in the image, and the other way round.
func TestTheImageHasWhatStagesDrive(t *testing.T) {
	image := words(t, "../../assembler/packages", `(?m)^([a-z0-9][a-z0-9.+-]+)`)
	judges := words(t, "../install-host-deps.sh", `(?m)^dev='([^']+)'$`)
	for _, name := range words(t, "../../internal/tool/packages.go", `(?m)^\t"[^"]+": +"([^"]+)"`) {
		if !slices.Contains(notInside, name) && !slices.Contains(judges, name) {
			require.Contains(t, image, name, "internal/tool/packages.go")
		}
	}
	host := words(t, "../install-host-deps.sh", `(?ms)^\s*(?:build|test)='([^']+)'$`)
	for _, name := range host {
		require.Contains(t, image, name, "tools/install-host-deps.sh")
	}
	for _, name := range image {
		if name != "sudo" && !strings.HasPrefix(name, "grub-efi-arm64") {
			require.Contains(t, host, name, "assembler/packages")
		}
	}
	require.True(t, slices.IsSorted(image))
}
