package machine

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConsoleKnowsWhenABootHasFailed(t *testing.T) {
	for name, c := range map[string]struct {
		said string
		want string // "": nothing wrong
	}{
		"kernel panic":       {"[    2.1] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n", "kernel panic: VFS: Unable to mount root fs on unknown-block(0,0)"},
		"emergency shell":    {"You are in emergency mode. After logging in, type \"journalctl -xb\"\r\n", "emergency shell"},
		"sulogin":            {"Press Enter for maintenance\r\n(or press Control-D to continue): ", "emergency shell"},
		"systemd status":     {"         Starting \x1b[0;1;39mEmergency Shell\x1b[0m...\r\n", "emergency shell"},
		"dracut":             {"dracut: Refusing to continue\r\n", "dracut gave up: Refusing to continue"},
		"ignition unit":      {"[\x1b[0;1;31mFAILED\x1b[0m] Failed to start \x1b[0;1;39mIgnition (files)\x1b[0m.\r\n", "Ignition failed: Ignition (files)"},
		"ignition unit, new": {"[FAILED] Failed to start ignition-fetch.service - Ignition (fetch).\r\n", "Ignition failed: Ignition (fetch)"},
		"ignition itself":    {"[    9.7] ignition[402]: Ignition failed: failed to create users\r\n", "Ignition failed: failed to create users"},
		"ignition critical":  {"[    9.7] ignition[402]: CRITICAL : failed to fetch config: not a config\r\n", "Ignition failed: failed to fetch config: not a config"},
		"no disk":            {"BdsDxe: No bootable option or device was found.\r\n", "no bootable disk"},
		"grub rescue":        {"error: no such partition.\r\nEntering rescue mode...\r\ngrub rescue> ", "boot loader stopped: at its grub rescue prompt"},
		"unfinished line":    {"Kernel panic - not syn", ""},
		"ignition finished":  {"[    9.7] ignition[402]: files: op(1): [finished] writing file\r\n[  OK  ] Finished Ignition (files).\r\n", ""},
		"grub is mentioned":  {"Loading grub> menu\r\n", ""},
		"a normal boot":      {"[  OK  ] Reached target Multi-User System.\r\nnestos login: ", ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{1, 7, 4096} {
				c1 := newConsole()
				c1.settle = 0
				for rest := c.said; rest != ""; {
					n := min(size, len(rest))
					_, err := c1.Write([]byte(rest[:n]))
					require.NoError(t, err)
					rest = rest[n:]
				}
				if c.want == "" {
					require.NoError(t, c1.Err())
					continue
				}
				require.EqualError(t, c1.Err(), c.want)
				<-c1.Failed()
			}
		})
	}
}

func TestConsoleTailIsPlainText(t *testing.T) {
	c := newConsole()
	_, err := c.Write([]byte("one\r\n\x1b[2J\x1b[1;1Htwo\x1b[0m\r\nthr\xffee"))
	require.NoError(t, err)
	require.Equal(t, "two\nthr\uFFFDee", c.Tail(2))
	require.EqualError(t, c.withTail(errors.New("it broke")),
		"it broke\nend of the console:\n  | one\n  | two\n  | thr\uFFFDee")
}

func TestConsoleThatSaidNothingIsSaidSo(t *testing.T) {
	require.EqualError(t, newConsole().withTail(errors.New("it broke")), "it broke (nothing on the console)")
}

type broken struct{ calls int }

func (b *broken) Write([]byte) (int, error) { b.calls++; return 0, errors.New("disk full") }

func TestABrokenSinkDoesNotStopTheOthers(t *testing.T) {
	var good strings.Builder
	bad := &broken{}
	c := newConsole(bad, &good)
	for range 3 {
		_, err := c.Write([]byte("x"))
		require.NoError(t, err)
	}
	require.Equal(t, "xxx", good.String())
	require.Equal(t, 1, bad.calls)
}

func FuzzConsole(f *testing.F) {
	f.Add([]byte("Kernel panic - not syncing: x\n"), 3)
	f.Add([]byte("\x1b]0;title\x07\x1b[31mred\x1b[0m\xff\xfe\n"), 1)
	f.Fuzz(func(t *testing.T, said []byte, size int) {
		if size < 1 {
			return
		}
		whole, parts := newConsole(), newConsole()
		whole.settle, parts.settle = 0, 0
		_, _ = whole.Write(said)
		for rest := said; len(rest) > 0; {
			n := min(size, len(rest))
			_, _ = parts.Write(rest[:n])
			rest = rest[n:]
		}
		if len(said) < lineSize { // longer lines are cut where the writes end
			require.Equal(t, whole.Tail(100), parts.Tail(100))
			if whole.Err() != nil {
				require.Error(t, parts.Err())
			}
		}
	})
}
