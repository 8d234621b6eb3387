package live_test

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cavaliergopher/cpio"
	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/image/live"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// patchable makes an ISO with the areas for a config and for arguments.
func patchable(t *testing.T, igninfo, kargs string) string {
	t.Helper()
	testkit.NeedTool(t, "xorriso")
	tree, iso := t.TempDir(), filepath.Join(t.TempDir(), "a.iso")
	for name, content := range map[string]string{
		"nestos/igninfo.json": igninfo, "nestos/kargs.json": kargs,
		"images/ignition.img": strings.Repeat("\x00", 4096), "boot.img": strings.Repeat("b", 2048),
		"EFI/a/grub.cfg": "linux /k ro x ####################\n",
	} {
		path := filepath.Join(tree, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "xorriso", Args: []string{
		"-as", "mkisofs", "-quiet", "-R", "-o", iso, "-b", "boot.img", "-no-emul-boot", "-boot-load-size", "4", tree,
	}})
	require.NoError(t, err)
	return iso
}

const (
	igninfo = `{"file": "images/ignition.img"}`
	kargs   = `{"default": "ro x", "size": 24, "files": [{"path": "EFI/a/grub.cfg", "offset": 9, "pad": "#", "end": "\n"}]}`
)

func TestAnISOIsPatchedWhereItHasRoom(t *testing.T) {
	iso := patchable(t, igninfo, kargs)
	content, err := os.ReadFile(iso)
	require.NoError(t, err)
	patches, err := live.Patches(t.Context(), tool.Host{}, iso, live.Custom{Ignition: []byte(`{"a":1}`), Kargs: "more", NoElTorito: true})
	require.NoError(t, err)
	require.Len(t, patches, 3)
	before := bytes.Clone(content)
	for _, p := range patches {
		copy(content[p.Offset:], p.Content)
	}
	require.Contains(t, string(content), "linux /k ro x more\n")
	require.Equal(t, 1, bytes.Count(before, []byte("EL TORITO")))
	require.Zero(t, bytes.Count(content, []byte("EL TORITO")))
	z, err := gzip.NewReader(bytes.NewReader(patches[0].Content))
	require.NoError(t, err)
	z.Multistream(false)
	archive := cpio.NewReader(z)
	head, err := archive.Next()
	require.NoError(t, err)
	require.Equal(t, "config.ign", head.Name)
	require.EqualValues(t, 7, head.Size)
}

func TestAnISOWithoutRoomIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		igninfo, kargs string
		custom         live.Custom
		want           string
	}{
		"config":    {igninfo, kargs, live.Custom{Ignition: randomText(6000)}, "and there is room for 4096"},
		"arguments": {igninfo, kargs, live.Custom{Kargs: strings.Repeat("a", 30)}, "the kernel arguments take 36 bytes, and there is room for 24"},
		"no file":   {`{"file": "other"}`, kargs, live.Custom{Ignition: []byte("{}")}, "it has no /other"},
		"area too long": {
			`{"file": "images/ignition.img", "offset": 4, "length": 9223372036854775807}`, kargs,
			live.Custom{Ignition: []byte("{}")}, "9223372036854775807 bytes from byte 4 on are not within images/ignition.img",
		},
		"area before the file": {
			`{"file": "images/ignition.img", "offset": -9, "length": 9}`, kargs,
			live.Custom{Ignition: []byte("{}")}, "9 bytes from byte -9 on are not within images/ignition.img",
		},
		"arguments too long": {
			igninfo, strings.Replace(kargs, "24", "9223372036854775807", 1),
			live.Custom{Kargs: "a"}, "9223372036854775807 bytes from byte 9 on are not within EFI/a/grub.cfg",
		},
		"no JSON": {`{`, kargs, live.Custom{Ignition: []byte("{}")}, "nestos/igninfo.json: unexpected end of JSON input"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := live.Patches(t.Context(), tool.Host{}, patchable(t, c.igninfo, c.kargs), c.custom)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// randomText does not compress.
func randomText(n int) []byte {
	out, x := make([]byte, n), uint32(1)
	for i := range out {
		x = x*1664525 + 1013904223
		out[i] = byte(x >> 24)
	}
	return out
}
