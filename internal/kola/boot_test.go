package kola

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/boottime"
	"github.com/nestos/nosa-actions/internal/machine"
)

func TestStartIsRecordedFromConsoleAndJournal(t *testing.T) {
	dir := t.TempDir()
	console := filepath.Join(dir, "console.txt")
	require.NoError(t, os.WriteFile(console, []byte("SeaBIOS\n"), 0o644))
	begin := time.Now().Add(-3 * time.Second)
	watch := watchBoot(console, begin)
	say := func(text string) {
		f, err := os.OpenFile(console, os.O_APPEND|os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = f.WriteString(text)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	say("GNU GRUB  version 2.06\n")
	say("[    0.000000] Linux version 6.1\n")
	var marks []time.Duration
	select {
	case marks = <-watch.done: // it ends by itself when all was said
	case <-time.After(time.Minute):
		require.Fail(t, "the watch did not see what the console says")
	}
	require.Len(t, marks, 2)
	require.GreaterOrEqual(t, marks[0], 3*time.Second)
	require.GreaterOrEqual(t, marks[1], marks[0])

	journal := `{"_BOOT_ID":"a","__MONOTONIC_TIMESTAMP":"7100000","MESSAGE_ID":"b07a249cd024414a82dd00cd181378ff","KERNEL_USEC":"1800000","USERSPACE_USEC":"2100000"}` + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "journal.jsonl"), []byte(journal), 0o644))
	tr := &trial{o: Options{Firmware: machine.BIOS}, group: group{name: "basic"}, dir: dir}
	tr.recordBoot(machine.Accel{}, []time.Duration{3 * time.Second, 5 * time.Second})
	require.Empty(t, tr.warnings)

	found, err := Boots(filepath.Dir(dir))
	require.NoError(t, err)
	r := found[dir]
	require.NotNil(t, r)
	require.Equal(t, "tcg, bios, basic", r.Machine)
	require.Equal(t, []boottime.Phase{{Name: "firmware", Seconds: 3}, {Name: "boot loader", Seconds: 2}, {Name: "kernel", Seconds: 1.8}, {Name: "userspace", Seconds: 2.1}}, r.Phases)
}

func TestGuestThatDidNotComeUpHasNoRecord(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "journal.jsonl"), []byte("{}\n"), 0o644))
	tr := &trial{group: group{name: "basic"}, dir: dir}
	tr.recordBoot(machine.Accel{KVM: true}, nil)
	require.Empty(t, tr.warnings)
	require.NoFileExists(t, filepath.Join(dir, BootFile))
	watch := watchBoot(filepath.Join(dir, "none"), time.Now())
	require.Empty(t, watch.end())
}
