package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/machine/machinetest"
)

// What consoles say is as systemd, journald and the kernel print it.
func TestDiagnose(t *testing.T) {
	const up = "[  OK  ] Reached target multi-user.target - Multi-User System.\n\nDebian GNU/Linux 12 nestos ttyS0\n\nnestos login: "
	refused := fmt.Errorf("ssh: handshake failed: read tcp 127.0.0.1:41234->127.0.0.1:38123: %w", syscall.ECONNRESET)
	for name, c := range map[string]struct {
		console string
		last    error
		want    string
	}{
		"full disk": {
			"[   12.3] systemd-journald[412]: Failed to open system journal: No space left on device\n" + up, refused,
			"its disk is full: systemd-journald[412]: Failed to open system journal: No space left on device",
		},
		"full disk, a program": {
			"cp: error writing '/var/lib/x': No space left on device\n", nil,
			"its disk is full: cp: error writing '/var/lib/x': No space left on device",
		},
		"sshd of Debian": {
			"[FAILED] Failed to start ssh.service - OpenBSD Secure Shell server.\n" + up, refused,
			"sshd did not start: OpenBSD Secure Shell server",
		},
		"sshd of openEuler": {
			"[FAILED] Failed to start OpenSSH server daemon.\nSee 'systemctl status sshd.service' for details.\n" + up, refused,
			"sshd did not start: OpenSSH server daemon",
		},
		"no network": {
			"[FAILED] Failed to start systemd-networkd-wait-online.service - Wait for Network to be Configured.\n" + up, context.DeadlineExceeded,
			"its network did not come up: systemd-networkd-wait-online.service - Wait for Network to be Configured",
		},
		"no network, silent":   {up, context.DeadlineExceeded, "the system is up, but it cannot be reached: it has no network"},
		"nothing listens":      {up, refused, "the system is up, but nothing listens on its ssh port"},
		"nothing listens yet":  {"[  OK  ] Started x\n", io.EOF, "nothing listens on its ssh port"},
		"key refused":          {up, errors.New("ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], no supported methods remain"), "the system is up, but sshd refuses the key of the user nest"},
		"mount":                {"[DEPEND] Dependency failed for var-data.mount - /var/data.\n", refused, "a file system is damaged or missing: var-data.mount - /var/data"},
		"device":               {"[ TIME ] Timed out waiting for device dev-vdb.device - /dev/vdb.\n", refused, "a file system is damaged or missing: dev-vdb.device - /dev/vdb"},
		"memory":               {"[   61.2] Out of memory: Killed process 612 (dnf) total-vm:1\n", refused, "it ran out of memory: dnf"},
		"unit":                 {"[FAILED] Failed to start foo.service - Foo.\n" + up, refused, "a unit failed: foo.service - Foo"},
		"still on its way":     {"[  OK  ] Started x\n", context.DeadlineExceeded, ""},
		"nothing said, nobody": {"", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, diagnose(c.console, c.last))
		})
	}
}

func TestABootLoopIsSeen(t *testing.T) {
	c := newConsole()
	c.settle = 0
	kernel := "[    0.000000] Linux version 6.1.0-56-cloud-amd64 (debian-kernel@lists.debian.org)\n"
	for range 3 {
		fmt.Fprint(c, kernel)
	}
	require.NoError(t, c.Err(), "a first boot may restart")
	c.loggedIn()
	for range 3 {
		fmt.Fprint(c, kernel)
	}
	require.NoError(t, c.Err(), "those before somebody logged in do not count")
	fmt.Fprint(c, kernel)
	require.EqualError(t, c.Err(), "boot loop: the kernel started 4 times, and nobody could log in")
}

func TestTheBootLoopOfAGuestEndsTheWait(t *testing.T) {
	g := boot(t, t.Context(), Options{Image: machinetest.Looper(t, "Welcome to GRUB!\r\n")})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	_, err := g.Connect(ctx)

	require.EqualError(t, err, "waiting for ssh: boot loop: the boot loader started 6 times, and nobody could log in")
}

func TestAGuestWithoutSSHIsDiagnosed(t *testing.T) {
	g := boot(t, t.Context(), Options{Image: machinetest.Speaker(t, "[FAILED] Failed to start ssh.service - OpenBSD Secure Shell server.\r\n", false)})
	ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, errors.New("gave up after 3s"))
	defer cancel()

	_, err := g.Connect(ctx)

	require.EqualError(t, err, "waiting for ssh: gave up after 3s: sshd did not start: OpenBSD Secure Shell server")
	require.Contains(t, g.Explain(err).Error(), "  | [FAILED] Failed to start ssh.service")
}

func TestAnExcerptHasWhatMatters(t *testing.T) {
	text := "quiet\n[FAILED] Failed to start a.\n" + strings.Repeat("noise\n", 100) + "the end\n"
	lines := strings.Split(excerpt(text), "\n")
	require.Equal(t, []string{"[FAILED] Failed to start a.", "..."}, lines[:2])
	require.Equal(t, "the end", lines[len(lines)-1])
	require.Len(t, lines, 2+tailLines)
	require.Equal(t, "short", excerpt("short\n"))
}

func FuzzDiagnose(f *testing.F) {
	f.Add("[FAILED] Failed to start x.\nlogin: ")
	f.Fuzz(func(t *testing.T, text string) {
		require.NotContains(t, diagnose(text, io.EOF), "\n")
		excerpt(text)
	})
}
