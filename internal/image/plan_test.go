package image_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/imageconf"
	"github.com/nestos/nosa-actions/internal/testkit"
)

// zeros makes GUIDs that do not change from run to run.
type zeros struct{ next byte }

func (z *zeros) Read(p []byte) (int, error) {
	for i := range p {
		z.next++
		p[i] = z.next
	}
	return len(p), nil
}

// content is a tree of n files of 100 kB.
func content(n int) image.Content {
	var c image.Content
	for range n {
		c.Add(100_000)
	}
	return c
}

// disks are the kinds that have a plan.
func disks() []image.Kind {
	return slices.DeleteFunc(image.Kinds(), func(k image.Kind) bool { return k.Traits().Format == "" })
}

func request(kind image.Kind, a arch.Arch) image.Request {
	return image.Request{
		Kind: kind, Arch: a, Name: "nestos", BuildID: "24.03-LTS.20250114.0",
		Config: &imageconf.Config{
			Size: 10, RootFS: "xfs", BootFS: "ext4", ExtraKargs: []string{"mitigations=auto,nosmt", "a b=c"},
		},
		Platforms: imageconf.Platforms{"x86_64": {"qemu": {KernelArguments: []string{"console=tty0", "console=ttyS0,115200n8"}}}},
		Content:   content(10_000),
		Random:    &zeros{},
	}
}

func TestPlans(t *testing.T) {
	for _, a := range arch.All() {
		for _, kind := range disks() {
			t.Run(fmt.Sprintf("%s-%s", kind, a), func(t *testing.T) {
				plan, err := image.NewPlan(request(kind, a))
				require.NoError(t, err)
				testkit.Golden(t, fmt.Sprintf("%s-%s.plan", kind, a), []byte(plan.String()))
			})
		}
	}
}

func TestPlanKeepsWhatImageYAMLAsksFor(t *testing.T) {
	r := request(image.Metal, arch.X86_64)
	r.Config.RootFS, r.Config.RootFSArgs = "ext4verity", "-m 1"
	r.Config.BootFS, r.Config.BootFSMetadataCsumSeed = "ext4verity", true

	plan, err := image.NewPlan(r)

	require.NoError(t, err)
	testkit.Golden(t, "verity.plan", []byte(plan.String()))
}

func TestPartitionsNeitherOverlapNorTouchTheTables(t *testing.T) {
	for _, kind := range disks() {
		plan, err := image.NewPlan(request(kind, arch.X86_64))
		require.NoError(t, err)
		end := int64(1 << 20)
		for _, part := range plan.Partitions {
			require.GreaterOrEqual(t, part.Start, end, part.Label)
			require.Zero(t, part.Start%(1<<20), part.Label)
			require.Zero(t, part.Size%(1<<20), part.Label)
			end = part.Start + part.Size
		}
		require.LessOrEqual(t, end, plan.Size-(1<<20))
	}
}

func TestGUIDsAreRandomUnlessSeeded(t *testing.T) {
	r := request(image.QEMU, arch.X86_64)
	r.Random = nil
	first, err := image.NewPlan(r)
	require.NoError(t, err)
	second, err := image.NewPlan(r)
	require.NoError(t, err)
	require.NotEqual(t, first.Partition(image.RootPartition).GUID, second.Partition(image.RootPartition).GUID)
	require.NotEqual(t, first.Partition(image.ESPPartition).FS.UUID, second.Partition(image.ESPPartition).FS.UUID)
	require.Equal(t, image.RootUUID, second.Partition(image.RootPartition).FS.UUID)
}

func TestBadRequestsAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*image.Request)
		want   string
	}{
		"unknown kind":   {func(r *image.Request) { r.Kind = "floppy" }, `unknown kind of disk image "floppy"`},
		"root type":      {func(r *image.Request) { r.Config.RootFS = "zfs" }, `image.yaml: rootfs: "zfs" is not one of xfs, ext4, ext4verity, btrfs`},
		"boot type":      {func(r *image.Request) { r.Config.BootFS = "xfs" }, `image.yaml: bootfs: "xfs" is not one of ext4, ext4verity`},
		"no size":        {func(r *image.Request) { r.Config.Size = 0 }, "image.yaml: size: 0 GiB asked for, the tree needs at least 2: tree does not fit"},
		"small size":     {func(r *image.Request) { r.Config.Size = 1 }, "image.yaml: size: 1 GiB asked for, the tree needs at least 2: tree does not fit"},
		"broken entropy": {func(r *image.Request) { r.Random = bytes.NewReader(nil) }, "choosing partition GUIDs: EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(image.QEMU, arch.X86_64)
			c.change(&r)
			_, err := image.NewPlan(r)
			require.EqualError(t, err, c.want)
		})
	}
}

func TestContentIsMeasuredInBlocks(t *testing.T) {
	var empty, one, exact image.Content
	one.Add(0)
	exact.Add(4096)
	require.EqualValues(t, 2, empty.MiB())
	require.EqualValues(t, 2, one.MiB())
	require.EqualValues(t, 2, exact.MiB())

	// 100000 bytes take 25 blocks: 250000 blocks are 976 MiB, 10000 inodes
	// 1 + 4; 40 percent more, plus one.
	require.EqualValues(t, (976+5)*140/100+1, content(10_000).MiB())
}

func TestKindsAreFoundByName(t *testing.T) {
	kind, err := image.ParseKind("metal4k")
	require.NoError(t, err)
	require.Equal(t, "nestos-1-metal4k.aarch64.raw", kind.FileName("nestos", "1", arch.AArch64))

	_, err = image.ParseKind("vmdk")
	require.EqualError(t, err, `unknown kind of image "vmdk"; known are qemu, metal, metal4k, openstack, live`)
}
