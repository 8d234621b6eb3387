package handoff

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

// hostile is a pack made by hand: the manifest says one thing, the members
// another, or both the same that must not be.
type hostile struct {
	entries []Entry
	members []*tar.Header // nil: as the entries say
	content string
	tail    string
}

func (h hostile) bytes(t testing.TB) []byte {
	t.Helper()
	list, err := json.Marshal(Manifest{Format: Format, Entries: h.entries})
	require.NoError(t, err)
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	require.NoError(t, tw.WriteHeader(&tar.Header{Name: ManifestName, Typeflag: tar.TypeReg, Size: int64(len(list))}))
	_, err = tw.Write(list)
	require.NoError(t, err)
	members := h.members
	if members == nil {
		for _, e := range h.entries {
			members = append(members, e.header())
		}
	}
	for _, m := range members {
		require.NoError(t, tw.WriteHeader(m))
		if m.Typeflag == tar.TypeReg {
			_, err = tw.Write([]byte(h.content)[:m.Size])
			require.NoError(t, err)
		}
	}
	require.NoError(t, tw.Close())
	b.WriteString(h.tail)
	return squeeze(t, b.Bytes())
}

func squeeze(t testing.TB, data []byte) []byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	return enc.EncodeAll(data, nil)
}

func file(path, content string) Entry {
	return Entry{Path: Name(path), Type: File, Mode: 0o644, UID: os.Getuid(), GID: os.Getgid(),
		Size: int64(len(content)), SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(content)))}
}

func dir(path string) Entry {
	return Entry{Path: Name(path), Type: Dir, Mode: 0o755, UID: os.Getuid(), GID: os.Getgid()}
}

func link(path, target string, kind Type) Entry {
	return Entry{Path: Name(path), Type: kind, Mode: 0o777, UID: os.Getuid(), GID: os.Getgid(), Link: Name(target)}
}

func with(e Entry, change func(*Entry)) Entry { change(&e); return e }

func hostilePacks() map[string]struct {
	pack hostile
	says string
} {
	x := file("x", "x")
	device := &tar.Header{Name: "x", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}
	return map[string]struct {
		pack hostile
		says string
	}{
		"parent path":       {hostile{entries: []Entry{file("../x", "x")}, content: "x"}, "leads outside"},
		"inner parent path": {hostile{entries: []Entry{dir("a"), file("a/../../x", "x")}, content: "x"}, "leads outside"},
		"absolute path":     {hostile{entries: []Entry{file("/tmp/x", "x")}, content: "x"}, "path is absolute"},
		"unclean path":      {hostile{entries: []Entry{dir("a"), file("a//x", "x")}, content: "x"}, "not clean"},
		"empty path":        {hostile{entries: []Entry{dir("")}}, "path is empty"},
		"reserved name":     {hostile{entries: []Entry{file(ManifestName, "x")}, content: "x"}, "reserved"},
		"duplicate":         {hostile{entries: []Entry{x, x}, content: "x"}, "listed twice"},
		"file and directory": {hostile{entries: []Entry{dir("x"), x}, content: "x"},
			"listed twice"},
		"through a symlink": {hostile{entries: []Entry{link("a", "/tmp", Symlink), file("a/x", "x")}, content: "x"},
			`"a" is not a directory of this pack`},
		"through a hard link": {hostile{entries: []Entry{link("a", "/etc/passwd", HardLink)}},
			"not a file of this pack"},
		"hard link to a symlink": {hostile{entries: []Entry{link("a", "/etc", Symlink), link("b", "a", HardLink)}},
			"not a file of this pack"},
		"hard link to a later file": {hostile{entries: []Entry{link("a", "x", HardLink), x}, content: "x"},
			"not a file of this pack"},
		"missing directory": {hostile{entries: []Entry{file("a/x", "x")}, content: "x"}, "not a directory of this pack"},
		"device in the manifest": {hostile{entries: []Entry{with(dir("x"), func(e *Entry) { e.Type = "char" })}, members: []*tar.Header{device}},
			`type "char" is not accepted`},
		"device in the archive": {hostile{entries: []Entry{x}, members: []*tar.Header{device}}, "members of type '3' are not accepted"},
		"pipe in the archive": {hostile{entries: []Entry{x}, members: []*tar.Header{{Name: "x", Typeflag: tar.TypeFifo}}},
			"members of type '6' are not accepted"},
		"global header": {hostile{entries: []Entry{x}, members: []*tar.Header{{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"path": "/tmp/x"}}}},
			"are not accepted"},
		"other name": {hostile{entries: []Entry{x}, members: []*tar.Header{file("y", "x").header()}, content: "x"},
			`"y" is not what the manifest lists as "x"`},
		"other mode": {hostile{entries: []Entry{x}, members: []*tar.Header{with(x, func(e *Entry) { e.Mode = 0o4755 }).header()}, content: "x"},
			"not what the manifest lists"},
		"other attribute": {hostile{entries: []Entry{x}, members: []*tar.Header{with(x, func(e *Entry) { e.Xattrs = map[string][]byte{"security.capability": {1}} }).header()}, content: "x"},
			"not what the manifest lists"},
		"other link": {hostile{entries: []Entry{link("a", "b", Symlink)}, members: []*tar.Header{link("a", "/etc", Symlink).header()}},
			"not what the manifest lists"},
		"other content": {hostile{entries: []Entry{x}, content: "y"}, "the pack was altered"},
		"other order":   {hostile{entries: []Entry{x, file("y", "x")}, members: []*tar.Header{file("y", "x").header(), x.header()}, content: "x"}, "not what the manifest lists"},
		"member missing": {hostile{entries: []Entry{x, file("y", "x")}, members: []*tar.Header{x.header()}, content: "x"},
			"y: cut off"},
		"member too many": {hostile{entries: []Entry{x}, members: []*tar.Header{x.header(), file("y", "x").header()}, content: "x"},
			"members that the manifest does not list"},
		"after the end": {hostile{entries: []Entry{x}, content: "x", tail: strings.Repeat("more", 512)}, "after its end"},
		"long zeros after the end": {hostile{entries: []Entry{x}, content: "x", tail: strings.Repeat("\x00", 2<<20)},
			"after its end"},
		"too big": {hostile{entries: []Entry{with(x, func(e *Entry) { e.Size = 65 << 30 })}, members: []*tar.Header{}},
			"more than 68719476736 bytes of content"},
		"too big together": {hostile{entries: []Entry{
			with(file("x", ""), func(e *Entry) { e.Size = 40 << 30 }), with(file("y", ""), func(e *Entry) { e.Size = 40 << 30 })}, members: []*tar.Header{}},
			"more than 68719476736 bytes of content"},
		"negative size": {hostile{entries: []Entry{with(x, func(e *Entry) { e.Size = -1 })}, members: []*tar.Header{}}, "out of range"},
		"extents outside": {hostile{entries: []Entry{with(x, func(e *Entry) { e.Sparse, e.Extents = true, []Extent{{1 << 62, 1 << 62}} })}, content: "x"},
			"lie outside"},
		"extents overlap": {hostile{entries: []Entry{with(file("x", "xxxx"), func(e *Entry) { e.Sparse, e.Extents = true, []Extent{{0, 3}, {2, 2}} })}, content: "xxxx"},
			"overlap"},
		"other format": {hostile{entries: []Entry{with(x, func(e *Entry) { e.Mode = 0o100644 })}, members: []*tar.Header{}}, "mode or owner out of range"},
		"huge attribute": {hostile{entries: []Entry{with(x, func(e *Entry) { e.Xattrs = map[string][]byte{"user.x": make([]byte, 70_000)} })}, members: []*tar.Header{}},
			"bytes of extended attributes"},
	}
}

func TestHostilePacksAreRefused(t *testing.T) {
	for name, c := range hostilePacks() {
		t.Run(name, func(t *testing.T) {
			target, canary := targetWithCanary(t)
			_, err := Unpack(t.Context(), bytes.NewReader(c.pack.bytes(t)), target, UnpackOptions{})
			require.ErrorContains(t, err, c.says)
			canary()
		})
	}
}

func TestNotAPack(t *testing.T) {
	for name, data := range map[string][]byte{
		"empty":       nil,
		"no zstd":     []byte("PK\x03\x04 this is a zip"),
		"no tar":      squeeze(t, []byte("hello")),
		"another tar": squeeze(t, plainTar(t)),
	} {
		t.Run(name, func(t *testing.T) {
			target, canary := targetWithCanary(t)
			_, err := Unpack(t.Context(), bytes.NewReader(data), target, UnpackOptions{})
			require.ErrorContains(t, err, "not a pack")
			canary()
		})
	}
}

func plainTar(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	require.NoError(t, tw.WriteHeader(&tar.Header{Name: "x", Typeflag: tar.TypeReg}))
	require.NoError(t, tw.Close())
	return b.Bytes()
}

// targetWithCanary makes a directory to unpack into and a check that neither it
// nor its neighbours changed.
func targetWithCanary(t testing.TB) (string, func()) {
	t.Helper()
	parent := t.TempDir()
	target := filepath.Join(parent, "target")
	require.NoError(t, os.Mkdir(target, 0o755))
	return target, func() {
		t.Helper()
		for dir, want := range map[string]int{parent: 1, target: 0} {
			list, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Len(t, list, want)
		}
	}
}

// FuzzUnpack looks for input that is accepted and yet not what its manifest
// says, or that is refused and yet leaves something behind.
func FuzzUnpack(f *testing.F) {
	dec, err := zstd.NewReader(nil)
	require.NoError(f, err)
	good := hostile{entries: []Entry{dir("a"), file("a/x", "x"), link("a/l", "x", Symlink), link("a/h", "a/x", HardLink)}, content: "x"}
	seeds := [][]byte{good.bytes(f)}
	for _, c := range hostilePacks() {
		seeds = append(seeds, c.pack.bytes(f))
	}
	for _, data := range seeds {
		plain, err := dec.DecodeAll(data, nil)
		require.NoError(f, err)
		if len(plain) < 64<<10 {
			f.Add(plain)
		}
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		target, canary := targetWithCanary(t)
		limits := Limits{Entries: 100, Bytes: 1 << 20}
		receipt, err := Unpack(context.Background(), bytes.NewReader(squeeze(t, plain)), target, UnpackOptions{Limits: limits})
		if err != nil {
			canary()
			return
		}
		var again bytes.Buffer
		o := PackOptions{Kind: receipt.Manifest.Kind, Arch: receipt.Manifest.Arch, Labels: receipt.Manifest.Labels}
		list, err := os.ReadDir(target)
		require.NoError(t, err)
		for _, e := range list {
			o.Paths = append(o.Paths, e.Name())
		}
		second, err := Pack(context.Background(), &again, target, o)
		require.NoError(t, err)
		require.Len(t, second.Manifest.Entries, len(receipt.Manifest.Entries))
	})
}
