package handoff_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/handoff"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// noise is content that does not shrink.
func noise(seed uint64, n int) []byte {
	var key [32]byte
	key[0] = byte(seed)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}

func put(t testing.TB, root, name string, content []byte) {
	t.Helper()
	path := filepath.Join(root, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, content, 0o644))
}

// twoRuns makes the packages of a run and those of the next one, in which a
// package is new, one has gone, one has another name, and a large file has
// something put into its middle.
func twoRuns(t testing.TB) (before, after string) {
	t.Helper()
	before, after = t.TempDir(), t.TempDir()
	for i := range uint64(8) {
		put(t, before, "cache/rpms/"+string('a'+rune(i)), noise(i, 300_000))
	}
	large := noise(100, 20<<20)
	put(t, before, "cache/large", large)
	for i := range uint64(7) {
		put(t, after, "cache/rpms/"+string('a'+rune(i)), noise(i, 300_000))
	}
	put(t, after, "cache/rpms/renamed", noise(7, 300_000))
	put(t, after, "cache/rpms/new", noise(50, 300_000))
	put(t, after, "cache/large", bytes.Join([][]byte{large[:7<<20], []byte("something else"), large[7<<20:]}, nil))
	return before, after
}

func packThin(t testing.TB, root string, base *handoff.Base) ([]byte, handoff.Receipt) {
	t.Helper()
	var b bytes.Buffer
	o := everything(t, root)
	o.Base = base
	receipt, err := handoff.Pack(t.Context(), &b, root, o)
	require.NoError(t, err)
	return b.Bytes(), receipt
}

func TestWhatTheReceiverHasCostsAReference(t *testing.T) {
	before, after := twoRuns(t)
	_, first := packThin(t, before, nil)
	require.Nil(t, first.Manifest.Base)
	whole := pack(t, after)

	thin, second := packThin(t, after, first.Base("the cache of run 1", ""))

	require.Equal(t, &handoff.BaseID{Name: "the cache of run 1", SHA256: first.Digest}, second.Manifest.Base)
	require.Less(t, len(thin), len(whole)/5, "a new package and at most a few chunks of the large file")
	require.InDelta(t, len(thin), second.Manifest.Stored(), 64<<10)
	dst := t.TempDir()
	_, err := handoff.Unpack(t.Context(), bytes.NewReader(thin), dst, handoff.UnpackOptions{Base: first.Base("it", before)})
	require.NoError(t, err)
	require.Equal(t, snapshot(t, after), snapshot(t, dst))

	again, third := packThin(t, after, second.Base("the cache of run 2", ""))
	require.Less(t, len(again), 32<<10, "nothing is new")
	next := t.TempDir()
	_, err = handoff.Unpack(t.Context(), bytes.NewReader(again), next, handoff.UnpackOptions{Base: third.Base("it", dst)})
	require.ErrorContains(t, err, "refers to content of the cache of run 2 with the manifest sha256 "+second.Digest)
	_, err = handoff.Unpack(t.Context(), bytes.NewReader(again), next, handoff.UnpackOptions{Base: second.Base("it", dst)})
	require.NoError(t, err)
	require.Equal(t, snapshot(t, after), snapshot(t, next))
}

func TestAWorkDirectoryIsTheBaseOfWhatComesNext(t *testing.T) {
	build, image := t.TempDir(), t.TempDir()
	disk := noise(1, 3<<20)
	put(t, build, "builds/1/oci", disk)
	put(t, image, "builds/1/qcow2", append(bytes.Clone(disk), "more"...))
	whole, receipt := packThin(t, build, nil)
	thin, _ := packThin(t, image, receipt.Base("artifact nosa-build-x86_64", ""))
	dst := t.TempDir()
	require.NoError(t, unpack(t, whole, dst))

	_, err := handoff.Unpack(t.Context(), bytes.NewReader(thin), dst, handoff.UnpackOptions{Base: receipt.Base("artifact nosa-build-x86_64", dst)})

	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join(dst, "builds/1/qcow2"))
	require.NoError(t, err)
	require.Equal(t, append(disk, "more"...), got)
}

func TestRandomTreesAreEqualAfterAThinRoundTrip(t *testing.T) {
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 9))
		base, src, dst := t.TempDir(), t.TempDir(), t.TempDir()
		plant(t, rng, src)
		_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "cp", Args: []string{"-a", src + "/.", base}})
		require.NoError(t, err)
		plant(t, rng, filepath.Join(src, newDir(t, src)))
		_, receipt := packThin(t, base, nil)
		thin, _ := packThin(t, src, receipt.Base("base", ""))

		_, err = handoff.Unpack(t.Context(), bytes.NewReader(thin), dst, handoff.UnpackOptions{Base: receipt.Base("base", base)})

		require.NoError(t, err)
		requireSame(t, snapshot(t, src), snapshot(t, dst), seed)
	}
}

func newDir(t testing.TB, root string) string {
	t.Helper()
	require.NoError(t, os.Mkdir(filepath.Join(root, "zz"), 0o755))
	return "zz"
}

// Plain tar gets from a thin pack what is in it; the rest are holes, so that
// nothing lies at a wrong place.
func TestPlainTarReadsAThinPackAsFarAsItGoes(t *testing.T) {
	testkit.NeedTool(t, "tar", "zstd")
	before, after := twoRuns(t)
	_, receipt := packThin(t, before, nil)
	thin, _ := packThin(t, after, receipt.Base("base", ""))
	file, dst := filepath.Join(t.TempDir(), "thin.tar.zst"), t.TempDir()
	require.NoError(t, os.WriteFile(file, thin, 0o600))

	_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "tar", Args: []string{"--zstd", "-C", dst, "-xf", file}})

	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join(dst, "cache/rpms/new"))
	require.NoError(t, err)
	require.Equal(t, noise(50, 300_000), got)
	got, err = os.ReadFile(filepath.Join(dst, "cache/rpms/a"))
	require.NoError(t, err)
	require.Equal(t, make([]byte, 300_000), got)
}

func TestABaseThatSavesLittleIsNotUsed(t *testing.T) {
	base, src := t.TempDir(), t.TempDir()
	put(t, base, "shared", noise(1, 10_000))
	put(t, src, "shared", noise(1, 10_000))
	put(t, src, "own", noise(2, 1_000_000))
	_, receipt := packThin(t, base, nil)

	data, second := packThin(t, src, receipt.Base("base", ""))

	require.Nil(t, second.Manifest.Base)
	require.Equal(t, pack(t, src), data, "as if there were no base")
}

func TestABaseThatDiffersIsRefused(t *testing.T) {
	before, after := twoRuns(t)
	_, receipt := packThin(t, before, nil)
	thin, _ := packThin(t, after, receipt.Base("the cache of run 1", ""))
	const mend = "; run the job that made the pack again"
	for name, c := range map[string]struct {
		change func(base string)
		says   string
	}{
		"missing": {func(base string) { require.NoError(t, os.Remove(base+"/cache/rpms/b")) },
			"the pack refers to the cache of run 1, whose cache/rpms/b is missing" + mend},
		"altered": {func(base string) { put(t, base, "cache/rpms/b", noise(60, 300_000)) },
			"whose cache/rpms/b has other content" + mend},
		"truncated": {func(base string) { require.NoError(t, os.Truncate(base+"/cache/rpms/b", 100)) },
			"whose cache/rpms/b is too short" + mend},
		"a directory": {func(base string) {
			require.NoError(t, os.Remove(base+"/cache/rpms/b"))
			require.NoError(t, os.Mkdir(base+"/cache/rpms/b", 0o755))
		}, "whose cache/rpms/b is not a file" + mend},
		"a link to the outside": {func(base string) {
			put(t, base, "../outside", noise(1, 300_000))
			require.NoError(t, os.Remove(base+"/cache/rpms/b"))
			require.NoError(t, os.Symlink("../../../outside", base+"/cache/rpms/b"))
		}, "escapes"},
	} {
		t.Run(name, func(t *testing.T) {
			base, dst := filepath.Join(t.TempDir(), "base"), t.TempDir()
			require.NoError(t, os.CopyFS(base, os.DirFS(before)))
			c.change(base)
			_, err := handoff.Unpack(t.Context(), bytes.NewReader(thin), dst, handoff.UnpackOptions{Base: &handoff.Base{Name: "the cache of run 1", Dir: base}})
			require.ErrorContains(t, err, c.says)
			require.Empty(t, snapshot(t, dst))
		})
	}
}

func TestADirectoryIsABase(t *testing.T) {
	before, after := twoRuns(t)
	put(t, before, "cache/secret", []byte("left out"))
	require.NoError(t, syscall.Mkfifo(filepath.Join(before, "pipe"), 0o600))
	skip := func(p string) bool { return p == "pipe" || p == "cache/secret" }

	base, err := handoff.IndexBase(t.Context(), "a", before, skip)

	require.NoError(t, err)
	thin, receipt := packThin(t, after, base)
	require.Equal(t, &handoff.BaseID{Name: "a", SHA256: base.SHA256}, receipt.Manifest.Base)
	dst := t.TempDir()
	_, err = handoff.Unpack(t.Context(), bytes.NewReader(thin), dst, handoff.UnpackOptions{Base: base})
	require.NoError(t, err)
	require.Equal(t, snapshot(t, after), snapshot(t, dst))

	base.Cost = 1 << 30
	_, receipt = packThin(t, after, base)
	require.Nil(t, receipt.Manifest.Base, "to fetch the base would cost more than it saves")
	_, err = handoff.IndexBase(t.Context(), "a", before, func(string) bool { return false })
	require.ErrorContains(t, err, "a pack holds no devices, pipes or sockets")
}
