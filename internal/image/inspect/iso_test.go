package inspect_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/image/disk"
	"github.com/nestos/nosa-actions/internal/image/imagetest"
	"github.com/nestos/nosa-actions/internal/image/inspect"
	"github.com/nestos/nosa-actions/internal/image/live"
	"github.com/nestos/nosa-actions/internal/imageconf"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// smallISO is the content of a live medium of the small build.
func smallISO(t *testing.T, b build) []byte {
	t.Helper()
	testkit.NeedTool(t, "mksquashfs", "xorriso", "zstd")
	dir := t.TempDir()
	yaml := filepath.Join(dir, "image.yaml")
	require.NoError(t, os.WriteFile(yaml, []byte(imageYAML), 0o644))
	config, err := imageconf.Load(yaml)
	require.NoError(t, err)
	s, err := disk.Deploy(t.Context(), tool.Host{}, nil, disk.Source{
		Repo: filepath.Join(b.dir, "repo"), Commit: b.records.Commit, Ref: imagetest.Ref, Stateroot: "nestos", BuildID: "1.0",
		Config: config, Platforms: platforms, Arch: arch.X86_64, Scratch: filepath.Join(dir, "scratch"),
	}, image.Metal)
	require.NoError(t, err)
	defer s.Close()
	out := filepath.Join(dir, "out")
	require.NoError(t, os.Mkdir(out, 0o755))
	made, err := live.Write(t.Context(), tool.Host{}, nil, live.Input{
		Sysroot: s, ConfigDir: "../../../examples/nestos-mini/live", Scratch: filepath.Join(dir, "live"), OutputDir: out,
		Payloads: func(context.Context) ([]live.Payload, error) {
			return []live.Payload{{Kind: image.Metal, Path: filepath.Join(b.dir, "metal"), SHA256: "sum", Size: diskEnd}}, nil
		},
	})
	require.NoError(t, err)
	iso, err := os.ReadFile(made[live.ISO])
	require.NoError(t, err)
	return iso
}

func TestLiveMediaAreLookedAt(t *testing.T) {
	b := small(t)
	good := smallISO(t, b)
	look := func(t *testing.T, iso []byte) *inspect.Report {
		path := filepath.Join(t.TempDir(), "iso")
		require.NoError(t, os.WriteFile(path, iso, 0o644))
		return look(t, path, b.records)
	}
	// root is where the squashfs begins: after the first member's header.
	root := bytes.Index(good, []byte("root.squashfs\x00")) + 14
	require.Equal(t, "hsqs", string(good[root:][:4]))
	kernel := bytes.Index(good, imagetest.TinyKernel())
	require.Positive(t, kernel)

	t.Run("good", func(t *testing.T) {
		r := look(t, good)
		require.Empty(t, defects(r))
		require.Equal(t, b.records.Commit, r.Deployment.Commit)
		require.Equal(t, "6.1.0-tiny", r.Deployment.Kernel)
		require.Equal(t, []string{"hello-1-2.noarch"}, r.Packages)
		require.Equal(t, "NestOS Test 1", r.OSRelease["PRETTY_NAME"])
		require.True(t, r.FirstBoot)
		require.Len(t, r.Entries, 1)
		require.Contains(t, r.Entries[0].Title, "without installing")
		require.Contains(t, r.Entries[0].Kargs, "nestos.liveiso="+r.Volume)
	})
	for _, m := range []struct {
		name   string
		damage func(iso []byte)
		want   string
	}{
		{"no boot record", func(iso []byte) { copy(iso[17*2048+7:], "NO") }, "iso: cannot be read: "},
		{"other label", func(iso []byte) { copy(iso[16*2048+40:], "OTHER") }, "looks for the medium nestos-1.0; its label is OTHER"},
		{"other platform", func(iso []byte) {
			for at := 0; ; {
				next := bytes.Index(iso[at:], []byte("platform.id=metal"))
				if next < 0 {
					break
				}
				at += next
				copy(iso[at:], "platform.id=qemuX")
			}
		}, `ignition.platform.id is "qemuX" instead of metal`},
		{"kernel", func(iso []byte) { iso[kernel+len(imagetest.TinyKernel())-1] ^= 1 }, "iso:/images/pxeboot/vmlinuz: differs from the deployment's /usr/lib/modules/6.1.0-tiny/vmlinuz"},
		{"superblock", func(iso []byte) { iso[root+64+6] = 0x7f }, "the squashfs cannot be read: the superblock is damaged: a table lies where none can be"},
		{"data", func(iso []byte) { clear(iso[root+4096:][:512]) }, "deployment:/usr/"}, // the first of the data blocks
	} {
		t.Run(m.name, func(t *testing.T) {
			iso := bytes.Clone(good)
			m.damage(iso)
			require.Contains(t, defects(look(t, iso)), m.want)
		})
	}
	t.Run("damaged at random", func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		used := int(good[root+40]) | int(good[root+41])<<8 | int(good[root+42])<<16 | int(good[root+43])<<24
		for range 20 {
			iso := bytes.Clone(good)
			for range 4 {
				iso[root+96-random.IntN(56)] = byte(random.Uint32())
				iso[root+used-1-random.IntN(min(used, 16<<10))] = byte(random.Uint32()) // the tables come last
			}
			begin := time.Now()
			look(t, iso)
			require.Less(t, time.Since(begin), time.Minute)
		}
	})
}
