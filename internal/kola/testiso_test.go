package kola

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/machine"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

func TestScenariosAreThoseThatArePossible(t *testing.T) {
	names := func(l Live) string {
		var out []string
		for _, s := range l.Scenarios() {
			out = append(out, s.Name)
		}
		return strings.Join(out, "\n")
	}
	testkit.Golden(t, "scenarios/x86_64", []byte(names(Live{Arch: arch.X86_64, Kernel: "k", Initramfs: "i", Rootfs: "r", Has4K: true})+"\n"))
	testkit.Golden(t, "scenarios/aarch64-iso-alone", []byte(names(Live{Arch: arch.AArch64})+"\n"))
}

func TestAWordOfTheGuestIsHeard(t *testing.T) {
	path := filepath.Join(t.TempDir(), "said")
	require.NoError(t, os.WriteFile(path, []byte("live-test-OK\n"), 0o600))
	require.NoError(t, waitForWord(t.Context(), path, liveWord))
	require.NoError(t, os.WriteFile(path, []byte("FAIL another commit runs\n"), 0o600))
	require.EqualError(t, waitForWord(t.Context(), path, liveWord), "the guest says: another commit runs")
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, errors.New("too late"))
	defer cancel()
	require.EqualError(t, waitForWord(ctx, filepath.Join(t.TempDir(), "none"), liveWord), "too late")
}

func TestLoginPrompt(t *testing.T) {
	require.True(t, loginPrompt("Debian 12\r\nnestos login: "))
	require.True(t, loginPrompt("x login: nest (automatic login)\n"))
	require.False(t, loginPrompt("[  OK  ] Started User Login Management.\nfailed login: no\n"))
}

// A shell is the judge of the scripts that guests run.
func TestChecksOfALiveGuestAreAScript(t *testing.T) {
	testkit.NeedTool(t, "bash")
	r := &liveRun{Live: Live{Commit: strings.Repeat("a", 64)}}
	for _, f := range []machine.Fragment{r.signals(r.liveChecks("true\n"), liveWord, false), r.signals(diskChecks+r.commitCheck(), diskWord, true)} {
		_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "bash", Args: []string{"-n"}, Stdin: strings.NewReader(string(f.Files[0].Content))})
		require.NoError(t, err)
		config, err := f.Config("x")
		require.NoError(t, err)
		_, warnings, err := machine.Merge(config)
		require.NoError(t, err)
		require.Empty(t, warnings)
	}
}

func TestBootFilesOfTheNetwork(t *testing.T) {
	testkit.NeedTool(t, "grub-mkimage")
	for firmware, want := range map[machine.Firmware]string{machine.BIOS: "boot.ipxe", machine.UEFI: "boot.efi"} {
		dir := t.TempDir()
		r := &liveRun{
			Live:     Live{Arch: arch.X86_64, Kernel: "k", Initramfs: "i", Rootfs: "r", Runner: tool.Host{}},
			scenario: Scenario{Firmware: firmware}, scratch: dir,
		}
		n, err := r.netboot(t.Context(), true, "a=b", machine.Config{JSON: []byte("{}")}, machine.Config{JSON: []byte("{}")})
		require.NoError(t, err)
		n.server.Close()
		require.Equal(t, want, n.boot.File)
		info, err := os.Stat(filepath.Join(n.boot.Dir, want))
		require.NoError(t, err)
		require.NotZero(t, info.Size())
	}
	k := netKargs{url: "http://10.0.2.2:1", online: true, more: "a=b "}
	require.Contains(t, k.ipxe(), " nestos.live.rootfs_url=http://10.0.2.2:1/rootfs.img a=b\ninitrd initrd.img\nboot\n")
	k.appendRootfs = true
	require.Contains(t, k.ipxe(), "kernel vmlinuz initrd=initrd.img initrd=rootfs.img ")
	require.Contains(t, k.grub(), "initrd (tftp)/initrd.img (http,10.0.2.2:1)/rootfs.img\nboot")
}
