package test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/boottime"
	"github.com/nestos/nosa-actions/internal/kola"
	"github.com/nestos/nosa-actions/internal/kola/page"
)

func TestReportForPeopleShowsWhatTheRunLeft(t *testing.T) {
	dir := twoBuilds(t, 3)
	out := t.TempDir()
	guest := filepath.Join(out, "basic", "uuid")
	require.NoError(t, os.MkdirAll(guest, 0o755))
	text, err := json.Marshal(start(2))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(guest, kola.BootFile), text, 0o644))
	console := strings.Repeat("early\r\n", 100) + "\x1b[31mKernel panic\x1b[0m <b>\xff\r\n"
	require.NoError(t, os.WriteFile(filepath.Join(guest, "console.txt"), []byte(console), 0o644))
	build := target{arch: dir.Arch, build: "2", commit: "c"}
	m, err := measure(dir, build, out)
	require.NoError(t, err)
	result := Result{OutputDir: out, Report: kola.Report{Verdict: kola.Fail, Tests: []kola.Result{{Name: "basic", Verdict: kola.Fail, Output: "why"}}}}

	require.NoError(t, Options{Platform: "qemu"}.writePage(dir, build, m, result))

	html, err := os.ReadFile(filepath.Join(out, PageFile))
	require.NoError(t, err)
	for _, want := range []string{
		"<h1>Tests of nestos 2</h1>", "a.service takes 3.0 s, 2.0 s more than before (1.0 s)", "What has changed since 1",
		"&#43;20.0 %", "Kernel panic &lt;b&gt;\uFFFD", "<svg ",
	} {
		require.Contains(t, string(html), want)
	}
	require.Equal(t, consoleLines-1, strings.Count(string(html), "early\n"), "the last lines alone")
}

func TestPackageChangesAreReadFromTheMetadata(t *testing.T) {
	var diff []json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(`[
		["bash", 2, {"PreviousPackage": ["bash", "5.1-1", "x86_64"], "NewPackage": ["bash", "5.2-1", "x86_64"]}],
		["podman", 0, {"NewPackage": ["podman", "4.9-1", "x86_64"]}],
		"junk", ["half", 1], [1, 2, 3]
	]`), &diff))
	require.Equal(t, []page.Package{{Name: "bash", From: "5.1-1", To: "5.2-1"}, {Name: "podman", To: "4.9-1"}}, packageChanges(diff))
}

func TestTheSharedGuestComesFirst(t *testing.T) {
	r := &boottime.Record{}
	m := measured{starts: map[string]*boottime.Record{"/o/a.alone/1": r, "/o/basic/2": r, "/o/non-exclusive-test-bucket-0/3": r}}
	var guests []string
	for _, s := range m.pageStarts("/o") {
		guests = append(guests, s.Guest)
	}
	require.Equal(t, []string{"non-exclusive-test-bucket-0", "basic", "a.alone"}, guests)
}
