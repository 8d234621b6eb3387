package run

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/machine"
	"github.com/nestos/nosa-actions/internal/machine/machinetest"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/tool/tooltest"
	"github.com/nestos/nosa-actions/internal/workdir"
)

func TestRunRefusesBeforeAnythingStarts(t *testing.T) {
	dir, err := workdir.Create(t.TempDir(), arch.X86_64)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		dir  *workdir.Dir
		o    Options
		want string
	}{
		"no terminal":          {dir, Options{}, "a shell needs a terminal; use --ssh-command to run a command without one"},
		"console, no terminal": {dir, Options{Console: true}, "a shell needs a terminal; use --ssh-command to run a command without one"},
		"command and console":  {dir, Options{Command: "x", Console: true}, "a command by ssh and the console exclude each other"},
		"two configs":          {dir, Options{Ignition: "a", Butane: "b"}, "an Ignition and a Butane config exclude each other"},
		"direct without way":   {dir, Options{Ignition: "a", Direct: true, Command: "x"}, "an untouched config needs --ignition, and --devshell-console, because nobody could log in by ssh"},
		"no build":             {dir, Options{Command: "x"}, "no build"},
		"nothing":              {nil, Options{Command: "x"}, "neither a work directory nor an image to boot"},
		"bad bind":             {nil, Options{Command: "x", Image: "i", BindRO: []string{"/tmp"}}, `bind "/tmp": must be DIR,PATH`},
		"no such directory":    {nil, Options{Command: "x", Image: "i", BindRW: []string{"/none,/mnt"}}, `bind "/none,/mnt": stat /none: no such file or directory`},
		"bad disk":             {nil, Options{Command: "x", Image: "i", Disks: []string{"big"}}, `disk "big": size must be in G, for example 5G`},
		"no config":            {nil, Options{Command: "x", Image: "i", Ignition: "/none.ign"}, "open /none.ign: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Run(t.Context(), tooltest.New(t), nil, c.dir, c.o, strings.NewReader(""), nil, nil)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestMachineOptions(t *testing.T) {
	ign := filepath.Join(t.TempDir(), "a.ign")
	require.NoError(t, os.WriteFile(ign, []byte(`{"ignition":{"version":"3.2.0"}}`), 0o600))
	o := Options{Image: "i.qcow2", Ignition: ign, Disks: []string{"5G"}, MemoryMiB: 3000}
	got, err := o.machine(nil)
	require.NoError(t, err)
	require.Equal(t, "nosa-devsh", got.Hostname)
	require.True(t, got.Autologin)
	require.Equal(t, []machine.Disk{{GiB: 5}}, got.Disks)
	require.Equal(t, ign, got.Configs[0].Name)
	require.Equal(t, 3000, got.MemoryMiB)
}

func TestCtrlCEndsAGuestThatBoots(t *testing.T) {
	testkit.NeedTool(t, "qemu-system-x86_64", "qemu-img")
	image := machinetest.Speaker(t, "up\r\n", false)
	scratch := t.TempDir()
	t.Setenv("TMPDIR", scratch)
	console := filepath.Join(t.TempDir(), "console")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for t.Context().Err() == nil { // the console file is there as soon as the guest is
			if _, err := os.Stat(console); err == nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(time.Second)
	}()

	_, err := Run(ctx, tool.Host{}, nil, nil, Options{Image: image, Command: "true", ConsoleFile: console}, nil, nil, nil)

	require.ErrorIs(t, err, context.Canceled)
	left, err := os.ReadDir(scratch)
	require.NoError(t, err)
	require.Empty(t, left)
}
