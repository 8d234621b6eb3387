package handoff_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// plant grows a random tree with every kind of member that a pack can hold.
func plant(t testing.TB, rng *rand.Rand, root string) {
	t.Helper()
	dirs := []string{root}
	var files, all []string
	for i := range 10 + rng.IntN(30) {
		p := filepath.Join(dirs[rng.IntN(len(dirs))], fmt.Sprintf("%d%s", i, randomName(rng)))
		switch kind := rng.IntN(10); {
		case kind < 3:
			require.NoError(t, os.Mkdir(p, 0o755))
			dirs = append(dirs, p)
		case kind == 3:
			require.NoError(t, os.Symlink(randomName(rng)+"/../..", p))
		case kind == 4 && len(files) > 0:
			require.NoError(t, os.Link(files[rng.IntN(len(files))], p))
		case kind == 5:
			plantSparse(t, rng, p)
			files = append(files, p)
		default:
			content := make([]byte, rng.IntN(3)*rng.IntN(70_000))
			for i := range content {
				content[i] = byte(rng.IntN(1 + rng.IntN(256)))
			}
			require.NoError(t, os.WriteFile(p, content, 0o600))
			files = append(files, p)
		}
		all = append(all, p)
	}
	for i := len(all) - 1; i >= 0; i-- {
		dress(t, rng, all[i])
	}
}

func plantSparse(t testing.TB, rng *rand.Rand, p string) {
	t.Helper()
	f, err := os.Create(p)
	require.NoError(t, err)
	defer f.Close()
	size := int64(1+rng.IntN(200)) * 16 << 10
	for range rng.IntN(6) {
		_, err := f.WriteAt([]byte("data"), rng.Int64N(size))
		require.NoError(t, err)
	}
	require.NoError(t, f.Truncate(size+rng.Int64N(5000)))
}

// dress gives a random owner, mode, attribute and time.
func dress(t testing.TB, rng *rand.Rand, p string) {
	t.Helper()
	var st unix.Stat_t
	require.NoError(t, unix.Lstat(p, &st))
	link := st.Mode&unix.S_IFMT == unix.S_IFLNK
	if os.Geteuid() == 0 {
		require.NoError(t, os.Lchown(p, rng.IntN(70_000), rng.IntN(3_000_000)))
		if rng.IntN(3) == 0 {
			require.NoError(t, unix.Lsetxattr(p, "security.selinux", []byte("system_u:object_r:usr_t:s0\x00"), 0))
		}
	}
	if !link {
		require.NoError(t, unix.Chmod(p, uint32(rng.IntN(0o10000))|0o700))
		if rng.IntN(3) == 0 {
			value := make([]byte, rng.IntN(40))
			for i := range value {
				value[i] = byte(rng.IntN(256))
			}
			require.NoError(t, unix.Lsetxattr(p, "user.x", value, 0))
		}
	}
	at := unix.NsecToTimespec(rng.Int64N(4e18) - 1e18)
	require.NoError(t, unix.UtimesNanoAt(unix.AT_FDCWD, p, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW))
}

// randomName makes names of any bytes, some of them long.
func randomName(rng *rand.Rand) string {
	n := 1 + rng.IntN(12)
	if rng.IntN(8) == 0 {
		n = 200
	}
	name := make([]byte, n)
	for i := range name {
		switch name[i] = byte(1 + rng.IntN(255)); {
		case name[i] == '/':
			name[i] = '_'
		case rng.IntN(2) == 0:
			name[i] = 'a' + byte(rng.IntN(26))
		}
	}
	return string(name)
}

// requireSame names what differs between two snapshots.
func requireSame(t testing.TB, want, got map[string]string, seed uint64) {
	t.Helper()
	for p, line := range want {
		require.Equal(t, line, got[p], "%q, seed %d", p, seed)
	}
	require.Len(t, got, len(want), "seed %d", seed)
}

// snapshot describes everything below root that a pack keeps.
func snapshot(t testing.TB, root string) map[string]string {
	t.Helper()
	tree := map[string]string{}
	first := map[uint64]string{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		rel := strings.TrimPrefix(p, root+"/")
		var st unix.Stat_t
		require.NoError(t, unix.Lstat(p, &st))
		line := fmt.Sprintf("mode %o owner %d:%d time %d", st.Mode, st.Uid, st.Gid, st.Mtim.Nano())
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(p)
			require.NoError(t, err)
			line += fmt.Sprintf(" link %q", target)
		case d.Type().IsRegular():
			content, err := readSparse(p)
			require.NoError(t, err)
			line += " " + content
			if st.Nlink > 1 {
				if first[st.Ino] == "" {
					first[st.Ino] = rel
				}
				line += fmt.Sprintf(" same as %q", first[st.Ino])
			}
		}
		tree[rel] = line + attrs(t, p)
		return nil
	})
	require.NoError(t, err)
	return tree
}

func attrs(t testing.TB, p string) string {
	t.Helper()
	names := make([]byte, 4096)
	n, err := unix.Llistxattr(p, names)
	require.NoError(t, err)
	var b strings.Builder
	for _, name := range []string{"security.selinux", "user.x"} {
		if !strings.Contains(string(names[:n]), name+"\x00") {
			continue
		}
		value := make([]byte, 4096)
		k, err := unix.Lgetxattr(p, name, value)
		require.NoError(t, err)
		fmt.Fprintf(&b, " %s=%q", name, value[:k])
	}
	return b.String()
}

// readSparse gives size and digest of the content, and the holes' extent in
// whole MiB, without reading holes.
func readSparse(p string) (string, error) {
	f, err := os.Open(p)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	var stored int64
	for at := int64(0); at < info.Size(); {
		from, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if err != nil {
			break
		}
		to, err := unix.Seek(int(f.Fd()), from, unix.SEEK_HOLE)
		if err != nil {
			return "", err
		}
		stored += to - from
		buf := make([]byte, to-from)
		if _, err := f.ReadAt(buf, from); err != nil {
			return "", err
		}
		for i := 0; i < len(buf); i += 512 { // blocks with their places: one of zeros is like a hole
			if part := buf[i:min(i+512, len(buf))]; len(bytes.Trim(part, "\x00")) > 0 {
				fmt.Fprintf(sum, "%d ", from+int64(i))
				sum.Write(bytes.TrimRight(part, "\x00"))
			}
		}
		at = to
	}
	return fmt.Sprintf("size %d stored %d KiB sum %x", info.Size(), (stored+1023)>>10, sum.Sum(nil)[:8]), nil
}
