package live_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/image/disk"
	"github.com/nestos/nosa-actions/internal/image/imagetest"
	"github.com/nestos/nosa-actions/internal/image/live"
	"github.com/nestos/nosa-actions/internal/imageconf"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

func host(t testing.TB, name string, args ...string) string {
	t.Helper()
	return imagetest.Host(t, name, args...)
}

// request is a live system of a small tree, which a test may spoil before it is
// made.
type request struct {
	source disk.Source
	menus  string // directory of the config's files
	output string
	input  live.Input
}

// shared is the small tree's commit, made by the first test that wants it.
var shared struct{ dir, repo, checksum string }

func TestMain(m *testing.M) {
	status := m.Run()
	if shared.dir != "" {
		os.RemoveAll(shared.dir)
	}
	os.Exit(status)
}

// small is a live system of the small tree.
func small(t *testing.T) *request {
	t.Helper()
	if shared.checksum == "" {
		require.NoError(t, os.RemoveAll(shared.dir)) // of a test that failed half-way
		dir, err := os.MkdirTemp("", "live-test-")
		require.NoError(t, err)
		shared.dir = dir
		shared.repo, shared.checksum = imagetest.Commit(t, dir, imagetest.SmallTree(t))
	}
	return newRequest(t, shared.repo, shared.checksum)
}

// of is a live system of a tree.
func of(t *testing.T, tree string) *request {
	t.Helper()
	repo, checksum := imagetest.Commit(t, t.TempDir(), tree)
	return newRequest(t, repo, checksum)
}

// newRequest copies the example's menus; it ends the test where something is
// missing.
func newRequest(t *testing.T, repo, checksum string) *request {
	t.Helper()
	testkit.NeedTool(t, "mksquashfs", "unsquashfs", "xorriso", "isoinfo", "zstd", "cpio", "file",
		"mkfs.vfat", "fsck.vfat", "mcopy", "mdir", "mtype", "bwrap", "ostree")
	dir := t.TempDir()
	config := filepath.Join(dir, "image.yaml")
	require.NoError(t, os.WriteFile(config, []byte("rootfs: ext4\nextra-kargs: [\"mitigations=auto,nosmt\"]\n"), 0o644))
	conf, err := imageconf.Load(config)
	require.NoError(t, err)
	r := &request{menus: filepath.Join(dir, "menus, with: strange name"), output: filepath.Join(dir, "out")}
	host(t, "cp", "-r", "../../../examples/nestos-mini/live", r.menus)
	require.NoError(t, os.Mkdir(r.output, 0o755))
	r.edit(t, "isolinux/isolinux.cfg", "timeout 50", "timeout 1")
	r.edit(t, "EFI/debian/grub.cfg", "set timeout=5", "set timeout=0")
	r.source = disk.Source{
		Repo: repo, Commit: checksum, Ref: imagetest.Ref, Stateroot: "nestos", BuildID: "24.03-LTS.20250114.0",
		Config: conf, Arch: arch.X86_64, Scratch: filepath.Join(dir, "a scratch: odd, but a name"),
	}
	r.input = live.Input{
		ConfigDir: r.menus, Fast: true, Scratch: filepath.Join(dir, "live"), OutputDir: r.output,
		Payloads: func(context.Context) ([]live.Payload, error) { return r.payloads(t), nil },
	}
	return r
}

// metal and metal4k stand for images, of which the second differs in two blocks
// from the first: live does not look inside.
func metal() []byte {
	image := make([]byte, 4<<20)
	random := rand.NewChaCha8([32]byte{})
	_, _ = random.Read(image) // never fails
	return image
}

func metal4k() []byte {
	image := metal()
	copy(image[8:], "another table")
	copy(image[2<<20:], "another loader")
	return image
}

// payloads are the images in files.
func (r *request) payloads(t *testing.T) []live.Payload {
	var all []live.Payload
	for kind, content := range map[image.Kind][]byte{image.Metal: metal(), image.Metal4k: metal4k()} {
		path := filepath.Join(t.TempDir(), string(kind))
		require.NoError(t, os.WriteFile(path, content, 0o644))
		all = append(all, live.Payload{Kind: kind, Path: path, SHA256: "sum-" + string(kind), Size: int64(len(content))})
	}
	slices.SortFunc(all, func(a, b live.Payload) int { return strings.Compare(string(a.Kind), string(b.Kind)) })
	return all
}

// deploy makes the root that the artifacts are made from.
func (r *request) deploy(t *testing.T) *disk.Sysroot {
	t.Helper()
	sysroot, err := disk.Deploy(t.Context(), tool.Host{}, nil, r.source, image.Metal)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sysroot.Close()) })
	return sysroot
}

// write makes the artifacts.
func (r *request) write(t *testing.T) (live.Artifacts, error) {
	t.Helper()
	return r.writeFrom(t, r.deploy(t))
}

func (r *request) writeFrom(t *testing.T, sysroot *disk.Sysroot) (live.Artifacts, error) {
	t.Helper()
	r.input.Sysroot = sysroot
	return live.Write(t.Context(), tool.Host{}, nil, r.input)
}

// made makes the artifacts.
func made(t *testing.T, r *request) *request {
	t.Helper()
	_, err := r.write(t)
	require.NoError(t, err)
	return r
}

func (r *request) path(artifact string) string {
	return filepath.Join(r.output, map[string]string{
		live.ISO:       "nestos-24.03-LTS.20250114.0-live.x86_64.iso",
		live.Kernel:    "nestos-24.03-LTS.20250114.0-live-kernel-x86_64",
		live.Initramfs: "nestos-24.03-LTS.20250114.0-live-initramfs.x86_64.img",
		live.Rootfs:    "nestos-24.03-LTS.20250114.0-live-rootfs.x86_64.img",
	}[artifact])
}

// edit changes one of the config's files.
func (r *request) edit(t *testing.T, name, old, new string) {
	t.Helper()
	path := filepath.Join(r.menus, name)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(text), old)
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(text), old, new)), 0o644))
}

const volumeID = "nestos-24.03-LTS.20250114.0"

// The kernel arguments of every way to boot: those of the config's menus.
var wantArgs = []string{
	"mitigations=auto,nosmt", "nestos.liveiso=" + volumeID, "ignition.firstboot", "ignition.platform.id=metal",
	"console=tty0", "console=ttyS0,115200n8",
}

// One ISO is enough for all who only look at it.
func TestLiveArtifacts(t *testing.T) {
	r := made(t, small(t))
	for name, check := range map[string]func(*testing.T, *request){
		"the ISO boots everywhere":          bootsEverywhere,
		"the ISO satisfies its judges":      judged,
		"the ISO can be changed afterwards": changeable,
		"PXE serves what the ISO boots":     servesPXE,
		"the initramfs knows its root":      knowsItsRoot,
		"the root is that of the metal":     rootOfMetal,
		"the payloads are on board":         payloadsOnBoard,
	} {
		t.Run(name, func(t *testing.T) { check(t, r) })
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	require.NotContains(t, string(mounts), "a\\040scratch")
	require.NotContains(t, string(mounts), r.input.Scratch)
}

func bootsEverywhere(t *testing.T, r *request) {
	iso := r.path(live.ISO)
	for name, c := range map[string]struct {
		firmware imagetest.Firmware
		medium   []string
	}{
		"CD under BIOS":   {imagetest.BIOS(), imagetest.CD(iso)},
		"disk under BIOS": {imagetest.BIOS(), imagetest.Disk("raw", iso, 512)},
		"CD under UEFI":   {imagetest.UEFI(t), imagetest.CD(iso)},
		"disk under UEFI": {imagetest.UEFI(t), imagetest.Disk("raw", iso, 512)},
	} {
		t.Run(name, func(t *testing.T) {
			args := imagetest.CommandLine(t, c.firmware, c.medium)
			require.Equal(t, wantArgs, withoutLoaderArgs(args))
		})
	}
}

// withoutLoaderArgs drops what ISOLINUX and GRUB add.
func withoutLoaderArgs(args []string) []string {
	var own []string
	for _, arg := range args {
		if name, _, _ := strings.Cut(arg, "="); name != "BOOT_IMAGE" && name != "initrd" {
			own = append(own, arg)
		}
	}
	return own
}

func TestFailureOfAPayloadIsTheFailureOfAll(t *testing.T) {
	r := small(t)
	broken := errors.New("no metal image came")
	r.input.Payloads = func(context.Context) ([]live.Payload, error) { return nil, broken }
	_, err := r.write(t)
	require.ErrorIs(t, err, broken)
	left, err := os.ReadDir(r.output)
	require.NoError(t, err)
	require.Empty(t, left)
}
