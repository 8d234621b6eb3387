package kola

import (
	"archive/tar"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/machine"
	"github.com/nestos/nosa-actions/internal/testkit"
)

func TestBadness(t *testing.T) {
	for said, want := range map[string]string{
		"Press Enter for emergency shell":                                                      "emergency shell",
		"You are in emergency mode. After logging in":                                          "emergency shell",
		"dracut: Refusing to continue":                                                         "dracut fatal (Refusing to continue)",
		"[ 1.2] Kernel panic - not syncing: Fatal exception":                                   "kernel panic (Fatal exception)",
		"[ 1.2] Oops: 0002 [#1] SMP PTI":                                                       "kernel oops",
		"watchdog: BUG: soft lockup - CPU#0 stuck for 22s!":                                    "kernel soft lockup (soft lockup - CPU#0 stuck for 22s!)",
		"WARNING: CPU: 0 PID: 17 at kernel/x.c:9 f+0x1/0x2":                                    "kernel warning (kernel/x.c:9 f+0x1/0x2)",
		"sd 0:0:0:0: rejecting I/O to offline device":                                          "failure of disk under I/O",
		"EXT4-fs (vda4): Delayed block allocation failed for x":                                "ext4 delayed allocation failure (Delayed block allocation failed for x)",
		"alloc magic is broken at 0x7f: 0":                                                     "GRUB memory corruption (alloc magic is broken at 0x7f: 0)",
		"ignition[512]: failed to fetch config: context canceled":                              "Ignition fetch cancellation race (failed to fetch config: context canceled)",
		"systemd[1]: initrd-cleanup.service: Main process exited, code=killed, status=15/TERM": "initrd-cleanup killed (15/TERM)",
		"app[7]: panic: runtime error":                                                         "Go panic (runtime error)",
		"main process exited, status=11/SEGV":                                                  "segfault (=11/SEGV)",
		"systemd-coredump[9]: Process 5 (x) dumped core. Core dump":                            "core dump",
		"systemd[1]: Ordering cycle found, skipping a.service":                                 "systemd ordering cycle (Ordering cycle found, skipping a.service)",
		"kernel: stress invoked oom-killer: gfp_mask=0x1":                                      "out of memory (stress)",
		"(sd-executor)[1]: /usr/lib/systemd/system-generators/x failed with exit status 1":     "systemd generator failure (/usr/lib/systemd/system-generators/x)",
		strings.Repeat("bond0: link status up for interface eth0\n", 10):                       "excessive bonding link status messages",
	} {
		found := FindBadness("all well\n" + said + "\r\n" + said + "\n")
		require.Len(t, found, 1, said)
		require.Equal(t, want, found[0].String())
		require.Equal(t, strings.Contains(want, "soft lockup"), found[0].Warn)
	}
	require.Empty(t, FindBadness("[  OK  ] Started x\npanicking: no\nbond0: link status up for interface eth0\nOopsie\n"))
}

func FuzzBadness(f *testing.F) {
	f.Add("WARNING: CPU: 0 PID: 1 at x\n")
	f.Fuzz(func(t *testing.T, text string) {
		seen := map[string]bool{}
		for _, b := range FindBadness(text) {
			require.False(t, seen[b.What])
			seen[b.What] = true
		}
	})
}

const commit = "18471ca4fb0f3047f72a4fcfdf08e161605e700d8a96ab572b6aec3325a226ec"

func TestBasicJudges(t *testing.T) {
	expect := Expect{Commit: commit, Platform: "qemu"}
	checks := map[string]Check{}
	for _, c := range basicChecks {
		checks[c.Name] = c
	}
	for name, c := range map[string]struct {
		check  string
		out    machine.Output
		expect Expect
		want   string // "": passes
	}{
		"writable usr":        {"usr-read-only", machine.Output{Stdout: []byte("writable\n")}, expect, "/usr is writable"},
		"usr made read-only":  {"usr-read-only", machine.Output{Status: 1, Stderr: []byte("touch: cannot touch '/usr/x': Read-only file system\n")}, expect, ""},
		"no sudo":             {"usr-read-only", machine.Output{Status: 127, Stderr: []byte("sudo: not found\n")}, expect, "could not find out whether /usr is read-only (sudo: not found)"},
		"right commit":        {"commit", said("/sysroot/ostree/deploy/nestos/deploy/" + commit + ".0\nnestos " + commit + ".0\n"), expect, ""},
		"commit, no ostree":   {"commit", said("/sysroot/ostree/deploy/nestos/deploy/" + commit + ".0\n"), expect, ""},
		"commit not known":    {"commit", said("/sysroot/ostree/deploy/nestos/deploy/" + commit + ".0\n"), Expect{}, ""},
		"wrong commit":        {"commit", said("/sysroot/ostree/deploy/nestos/deploy/" + commit + ".0\n"), Expect{Commit: "abc"}, "booted commit is " + commit + ", but the build has abc"},
		"not ostree":          {"commit", said("\n"), expect, `not an OSTree deployment: ""`},
		"ostree disagrees":    {"commit", said("/sysroot/ostree/deploy/nestos/deploy/" + commit + ".0\nnestos x.1\n"), expect, `ostree says "nestos x.1" is booted, the kernel argument says "nestos ` + commit + `.0"`},
		"good arguments":      {"kernel-arguments", said("root=LABEL=root ostree=/x ignition.platform.id=qemu\n"), expect, ""},
		"bad arguments":       {"kernel-arguments", said("ignition.platform.id=metal rd.break\n"), expect, "ostree= is there 0 times, not once\nignition.platform.id is \"metal\", want \"qemu\"\nrd.break does not belong there"},
		"machine id":          {"machine-id", said("0123456789abcdef0123456789abcdef\n"), expect, ""},
		"no machine id":       {"machine-id", said("uninitialized\n"), expect, `got "uninitialized", want 32 hexadecimal digits`},
		"grown":               {"root-grown", said("11000000000\n12884901888\n"), expect, ""},
		"not grown":           {"root-grown", said("1610612736\n12884901888\n"), expect, "the root file system has 1536 MiB of the disk's 12288 MiB: it did not grow"},
		"sizes not found":     {"root-grown", machine.Output{Stderr: []byte("df: x")}, expect, `could not find out the sizes: [] (df: x)`},
		"stamp gone":          {"first-boot-over", said("/boot/loader\n/boot/loader.1\n"), expect, ""},
		"stamp there":         {"first-boot-over", said("/boot/ignition.firstboot\n/boot/loader\n"), expect, "/boot/ignition.firstboot is still there: the next boot would be a first boot again"},
		"no boot":             {"first-boot-over", said(""), expect, "/boot is not mounted"},
		"file by Ignition":    {"ignition-file", said("written by Ignition\n640\n"), expect, ""},
		"no file by Ignition": {"ignition-file", machine.Output{Status: 1, Stderr: []byte("cat: no such file\n")}, expect, `got "", want "written by Ignition\n640" (cat: no such file)`},
	} {
		t.Run(name, func(t *testing.T) {
			err := checks[c.check].Judge(c.expect, c.out)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, c.want)
		})
	}
}

func said(text string) machine.Output { return machine.Output{Stdout: []byte(text)} }

func TestBuiltinConfigsAreValid(t *testing.T) {
	cases, err := Builtin()
	require.NoError(t, err)
	for _, c := range cases {
		if c.Config.JSON == nil {
			continue
		}
		_, warnings, err := machine.Merge(c.Config)
		require.NoError(t, err, c.Name)
		require.Empty(t, warnings)
	}
}

func TestExternalUnit(t *testing.T) {
	exe := filepath.Join(t.TempDir(), "test.sh")
	require.NoError(t, os.WriteFile(exe, []byte("#!/bin/sh\n"), 0o755))
	test := Selected{Case: Case{Name: "ext.config.100%", Executable: exe}}
	f, err := member{Selected: test}.fragment("")
	require.NoError(t, err)
	require.Equal(t, "/usr/local/bin/kola-runext-test.sh", f.Files[0].Path)
	testkit.Golden(t, "kola-runext.service", []byte(f.Units[0].Content))

	shared, err := member{Selected: test, number: 2}.fragment("")
	require.NoError(t, err)
	require.Equal(t, "/usr/local/bin/kola-runext-2-test.sh", shared.Files[0].Path, "tests of one guest often have one base name")
	require.Equal(t, "kola-runext-2.service", shared.Units[0].Name)
	require.Contains(t, shared.Units[0].Content, "KOLA_EXT_DATA=/var/opt/kola/extdata-2\n")
}

func TestArchiveFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "real/sub"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "common.sh"), []byte("shared"), 0o644))
	require.NoError(t, os.Symlink("../common.sh", filepath.Join(dir, "real/commonlib.sh")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "real/sub/x"), []byte("x"), 0o755))
	require.NoError(t, os.Symlink("real", filepath.Join(dir, "data")))

	var b bytes.Buffer
	require.NoError(t, archive(&b, filepath.Join(dir, "data")))

	got := map[string]string{}
	for in := tar.NewReader(&b); ; {
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		data, err := io.ReadAll(in)
		require.NoError(t, err)
		got[head.Name] = head.FileInfo().Mode().String() + " " + string(data)
	}
	require.Equal(t, map[string]string{"commonlib.sh": "-rw-r--r-- shared", "sub": "drwxr-xr-x ", "sub/x": "-rwxr-xr-x x"}, got)
}

func TestRenderJournal(t *testing.T) {
	raw := `{"__REALTIME_TIMESTAMP":"1751328000123456","_HOSTNAME":"h","SYSLOG_IDENTIFIER":"kernel","MESSAGE":"hello"}
{"__REALTIME_TIMESTAMP":"1751328001000000","_HOSTNAME":"h","_COMM":"x","_PID":"7","MESSAGE":"two\nlines"}
{"_HOSTNAME":"h","SYSLOG_IDENTIFIER":["a","b"],"SYSLOG_PID":"3","MESSAGE":[104,105,255]}
{"cut off
`
	var b bytes.Buffer
	require.NoError(t, RenderJournal(&b, strings.NewReader(raw)))
	require.Equal(t, "2025-07-01T00:00:00.123456Z h kernel: hello\n"+
		"2025-07-01T00:00:01.000000Z h x[7]: two\n    lines\n"+
		"- h a[3]: hi\uFFFD\n\"{\\\"cut off\"\n", b.String())
}

func FuzzRenderJournal(f *testing.F) {
	f.Add(`{"MESSAGE":[1,2],"_PID":"x"}`)
	f.Fuzz(func(_ *testing.T, raw string) { _ = RenderJournal(io.Discard, strings.NewReader(raw)) })
}

func sample() Report {
	tests := []Result{
		{Name: "basic", Verdict: Fail, Duration: 34 * time.Second, Boot: 20 * time.Second, Subtests: []Result{
			{Name: "basic/usr-read-only", Verdict: Fail, Duration: time.Second, Output: "/usr is writable"},
			{Name: "basic/machine-id", Verdict: Pass, Duration: time.Second},
		}},
		{Name: "ext.config.a", Verdict: Pass, Duration: 1500 * time.Millisecond},
		{Name: "ext.config.b", Verdict: Warn, Output: "exit status 1"},
		{Name: "ext.config.c", Verdict: Fail, Output: "kernel panic: \x1b[1mx\x00\n  | <tail>"},
		{Name: "ext.config.d", Verdict: Skip},
	}
	return Report{Tests: tests, Verdict: overall(tests), Platform: "qemu"}
}

func TestReportFiles(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, sample().Save(dir))
	for _, name := range []string{"test.tap", "reports/report.json", "reports/junit.xml"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		testkit.Golden(t, filepath.Base(name), got)
	}
	junit, err := sample().JUnit()
	require.NoError(t, err)
	require.NoError(t, xml.Unmarshal(junit, new(junitSuite)), "well-formed")
}

func TestOverall(t *testing.T) {
	require.Equal(t, Pass, overall([]Result{{Verdict: Pass}, {Verdict: Skip}}))
	require.Equal(t, Warn, overall([]Result{{Verdict: Warn}, {Verdict: Pass}}))
	require.Equal(t, Fail, overall([]Result{{Verdict: Warn}, {Verdict: Fail}}))
}

func TestPrepareOutputErasesOnlyItsOwn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	require.NoError(t, PrepareOutput(dir))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "old"), nil, 0o644))
	require.NoError(t, PrepareOutput(dir))
	require.NoFileExists(t, filepath.Join(dir, "old"))

	foreign := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(foreign, "precious"), nil, 0o644))
	require.ErrorContains(t, PrepareOutput(foreign), "exists and is not one of ours")
	require.FileExists(t, filepath.Join(foreign, "precious"))
}
