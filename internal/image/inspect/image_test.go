package inspect_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/image/disk"
	"github.com/nestos/nosa-actions/internal/image/imagetest"
	"github.com/nestos/nosa-actions/internal/image/inspect"
	"github.com/nestos/nosa-actions/internal/imageconf"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

const imageYAML = "size: 2\nrootfs: ext4\nostree-remote: openEuler\nextra-kargs: [\"mitigations=auto,nosmt\"]\n"

var platforms = imageconf.Platforms{"x86_64": {"qemu": {
	GrubCommands:    []string{"serial --speed=115200", "terminal_input serial console", "terminal_output serial console"},
	KernelArguments: []string{"console=tty0", "console=ttyS0,115200n8"},
}}}

// build is a commit and the images that were made of it, by their kind.
type build struct {
	dir     string
	records inspect.Records
}

var shared struct {
	sync.Once
	build
}

// small is a build with images of all kinds of disk, made by the first test that
// wants it and changed by none.
func small(t testing.TB) build {
	t.Helper()
	testkit.NeedRoot(t)
	testkit.NeedTool(t, "ostree", "mke2fs", "debugfs", "mkfs.vfat", "mcopy", "mdel", "mlabel", "grub-mkimage", "bwrap", "qemu-img", "sgdisk", "rpm", "dd", "cp", "truncate")
	shared.Do(func() {
		dir, err := os.MkdirTemp("", "inspect-test-")
		require.NoError(t, err)
		shared.dir = dir
		shared.records = makeBuild(t, dir)
	})
	require.NotEmpty(t, shared.records.Commit, "the images could not be made")
	return shared.build
}

func TestMain(m *testing.M) {
	status := m.Run()
	if shared.dir != "" {
		os.RemoveAll(shared.dir)
	}
	os.Exit(status)
}

// makeBuild composes the small tree with what an image of a real one has.
func makeBuild(t testing.TB, dir string) inspect.Records {
	t.Helper()
	yaml := filepath.Join(dir, "image.yaml")
	require.NoError(t, os.WriteFile(yaml, []byte(imageYAML), 0o644))
	config, err := imageconf.Load(yaml)
	require.NoError(t, err)
	text, err := config.JSON()
	require.NoError(t, err)
	tree := imagetest.SmallTree(t)
	for name, content := range map[string]string{
		"usr/etc/shadow": "root:*:19000:0:99999:7:::\n", "usr/etc/machine-id": "", "usr/etc/fstab": "# none\n",
		"usr/etc/ssh/sshd_config": "UsePAM yes\n", "usr/share/coreos-assembler/image.json": string(text),
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(tree, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(tree, name), []byte(content), 0o644))
	}
	rpm := testkit.WriteRPM(t, dir, testkit.RPM{Name: "hello", Version: "1", Release: "2"})
	db := filepath.Join(tree, "usr/share/rpm")
	imagetest.Host(t, "rpm", "--dbpath="+db, "--define=_db_backend sqlite", "-i", "--justdb", "--nodeps", "--ignorearch", "--nosignature", rpm)
	arch64 := imagetest.Host(t, "rpm", "--dbpath="+db, "--define=_db_backend sqlite", "-q", "--qf", "%{ARCH}", "hello")
	for _, rest := range []string{"rpmdb.sqlite-shm", "rpmdb.sqlite-wal", ".rpm.lock"} {
		require.NoError(t, os.RemoveAll(filepath.Join(db, rest)))
	}
	repo := filepath.Join(dir, "repo")
	imagetest.Host(t, "ostree", "init", "--repo="+repo, "--mode=archive")
	commit := imagetest.Host(t, "ostree", "commit", "--repo="+repo, "--branch="+imagetest.Ref, "--fsync=false", "--tree=dir="+tree,
		"--add-metadata-string=version=1.0", "--add-metadata-string=ostree.bootable=1",
		"--add-metadata=rpmostree.rpmdb.pkglist=[('hello','0','1','2','"+arch64+"')]")
	s, err := disk.Deploy(t.Context(), tool.Host{}, nil, disk.Source{
		Repo: repo, Commit: commit, Ref: imagetest.Ref, Stateroot: "nestos", BuildID: "1.0",
		Config: config, Platforms: platforms, Arch: arch.X86_64, Scratch: filepath.Join(dir, "scratch"),
	}, image.QEMU, image.Metal, image.Metal4k)
	require.NoError(t, err)
	for _, kind := range []image.Kind{image.QEMU, image.Metal, image.Metal4k} {
		_, err := s.Write(t.Context(), nil, kind, filepath.Join(dir, string(kind)))
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())
	sum := sha256.Sum256(text)
	return inspect.Records{
		Build: "1.0", Name: "nestos", Commit: commit, Ref: imagetest.Ref, Arch: "x86_64",
		ImageConfig: hex.EncodeToString(sum[:]), Platforms: platforms,
	}
}

// of are the records of one kind of image.
func (b build) of(kind image.Kind) inspect.Records {
	r := b.records
	r.Platform = kind.Traits().Platform
	r.FileName = kind.FileName("nestos", "1.0", arch.X86_64)
	return r
}

func look(t testing.TB, path string, records inspect.Records) *inspect.Report {
	t.Helper()
	report, err := inspect.Run(t.Context(), tool.Host{}, inspect.Options{Path: path, Records: records, Scratch: t.TempDir()})
	require.NoError(t, err)
	return report
}

func defects(r *inspect.Report) string {
	var lines []string
	for _, d := range r.Defects {
		lines = append(lines, d.String())
	}
	return strings.Join(lines, "\n")
}

func TestGoodImagesHaveNoDefects(t *testing.T) {
	b := small(t)
	compressed := filepath.Join(t.TempDir(), "compressed")
	imagetest.Host(t, "qemu-img", "convert", "-f", "qcow2", "-O", "qcow2", "-c", filepath.Join(b.dir, "qemu"), compressed)
	for path, kind := range map[string]image.Kind{
		filepath.Join(b.dir, "qemu"): image.QEMU, filepath.Join(b.dir, "metal"): image.Metal,
		filepath.Join(b.dir, "metal4k"): image.Metal4k, compressed: image.QEMU,
	} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			r := look(t, path, b.of(kind))
			require.Empty(t, defects(r))
			require.Equal(t, kind != image.Metal4k, r.BIOSLoader)
			require.Equal(t, []string{"/EFI/BOOT/BOOTX64.EFI"}, r.EFILoaders)
			require.True(t, r.FirstBoot)
			require.Equal(t, b.records.Commit, r.Deployment.Commit)
			require.Equal(t, "openEuler:"+imagetest.Ref, r.Deployment.Origin)
			require.Equal(t, "1.0", r.Deployment.Version)
			require.Equal(t, []string{"hello-1-2.noarch"}, r.Packages)
			require.Equal(t, "NestOS Test 1", r.OSRelease["PRETTY_NAME"])
			require.Equal(t, int(kind.Traits().SectorSize), r.SectorSize)
			require.Len(t, r.Partitions, 4)
			require.Equal(t, image.RootUUID, r.Partitions[3].Filesystem.UUID)
			require.Equal(t, "mitigations=auto,nosmt", r.Entries[0].Kargs[0])
			if kind == image.QEMU {
				require.Equal(t, platforms["x86_64"]["qemu"].GrubCommands, r.Console)
			}
			require.Empty(t, defects(look(t, path, inspect.Records{})), "judged by itself")
		})
	}
}

func TestWhatIsNoDiskIsSaid(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
		return path
	}
	for path, want := range map[string]string{
		write("x.raw.gz", "\x1f\x8b\x08\x00junkjunk"): "is compressed with gzip; run nosa uncompress, or unpack it, first",
		write("x.qcow2", "QFI\xfb\x00\x00"):           "the qcow2 image is damaged: no header",
		dir:                                           "is no regular file",
		filepath.Join(dir, "missing"):                 "no such file or directory",
	} {
		_, err := inspect.Run(t.Context(), tool.Host{}, inspect.Options{Path: path})
		require.ErrorContains(t, err, want)
	}
	r := look(t, write("empty", ""), inspect.Records{})
	require.Equal(t, "partition table: there is none: no sector 1 begins with EFI PART", defects(r))
}

func TestFilesOnXFSAreLookedAt(t *testing.T) {
	b := small(t)
	testkit.NeedFilesystem(t, "xfs")
	testkit.NeedTool(t, "mkfs.xfs", "unshare", "mount")
	dir := t.TempDir()
	yaml := filepath.Join(dir, "image.yaml")
	require.NoError(t, os.WriteFile(yaml, []byte(strings.Replace(imageYAML, "ext4", "xfs", 1)), 0o644))
	config, err := imageconf.Load(yaml)
	require.NoError(t, err)
	s, err := disk.Deploy(t.Context(), tool.Host{}, nil, disk.Source{
		Repo: filepath.Join(b.dir, "repo"), Commit: b.records.Commit, Ref: imagetest.Ref, Stateroot: "nestos", BuildID: "1.0",
		Config: config, Platforms: platforms, Arch: arch.X86_64, Scratch: filepath.Join(dir, "scratch"),
	}, image.Metal)
	require.NoError(t, err)
	metal := filepath.Join(dir, "metal")
	_, err = s.Write(t.Context(), nil, image.Metal, metal)
	require.NoError(t, err)
	require.NoError(t, s.Close())

	r := look(t, metal, b.of(image.Metal))

	require.Equal(t, "root: the file system is xfs instead of ext4 of image.yaml", defects(r), "all that the commit says otherwise")
	require.Equal(t, []string{"hello-1-2.noarch"}, r.Packages)
	require.Equal(t, "NestOS Test 1", r.OSRelease["PRETTY_NAME"])
}

// A file of nothing that is longer than a life.
func TestLookingEndsWhenItsContextDoes(t *testing.T) {
	b := small(t)
	dir := t.TempDir()
	p := patient{t: t, dir: dir, path: filepath.Join(dir, "disk"), deployment: "/ostree/deploy/nestos/deploy/" + b.records.Commit + ".0"}
	imagetest.Host(t, "qemu-img", "convert", "-f", "qcow2", "-O", "raw", filepath.Join(b.dir, "qemu"), p.path)
	p.root("sif " + p.deployment + "/usr/bin/tool size 0x7fffffffff000")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := inspect.Run(ctx, tool.Host{}, inspect.Options{Path: p.path, Records: b.of(image.QEMU), Scratch: dir})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
