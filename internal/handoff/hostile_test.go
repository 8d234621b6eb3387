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
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

// hostile is a pack made by hand: the manifest says one thing, the members
// another, or both the same that must not be.
type hostile struct {
	base    *BaseID
	entries []Entry
	members []byte // nil: as the entries say
	content string // of each file
	tail    string
}

func (h hostile) bytes(t testing.TB) []byte {
	t.Helper()
	list, err := json.Marshal(Manifest{Format: Format, Base: h.base, Entries: h.entries})
	require.NoError(t, err)
	var b bytes.Buffer
	b.Write(manifestHead(int64(len(list))))
	b.Write(pad(list))
	if h.members != nil {
		b.Write(h.members)
	} else {
		for _, e := range h.entries {
			b.Write(h.member(e))
		}
	}
	b.Write(make([]byte, endBlocks))
	b.WriteString(h.tail)
	return squeeze(t, b.Bytes())
}

func (h hostile) member(e Entry) []byte { return member(e, h.content) }

// member is one as the archive has it.
func member(e Entry, content string) []byte {
	m := e.head()
	if e.Type == File && len(content) > 0 {
		m = append(m, pad([]byte(content)[:min(int64(len(content)), total(e.stored()))])...)
	}
	return m
}

// foreign is a member as the standard library writes it.
func foreign(h *tar.Header) []byte {
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	if err := tw.WriteHeader(h); err != nil {
		panic(err)
	}
	b.Write(make([]byte, 2*block)) // as long as one of ours
	return b.Bytes()
}

// squeezer is made once: to make it takes longer than to unpack what it makes.
var squeezer = sync.OnceValues(func() (*zstd.Encoder, error) { return zstd.NewWriter(nil) })

func squeeze(t testing.TB, data []byte) []byte {
	t.Helper()
	enc, err := squeezer()
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
	device := foreign(&tar.Header{Name: "x", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3})
	two := func(a, b Entry) []byte { return slices.Concat(member(a, "x"), member(b, "x")) }
	inBase := func(place Place) Entry {
		return with(x, func(e *Entry) { e.Chunks = []Chunk{{1, e.SHA256, &place}} })
	}
	base := &BaseID{Name: "artifact b", SHA256: x.SHA256}
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
		"device in the manifest": {hostile{entries: []Entry{with(dir("x"), func(e *Entry) { e.Type = "char" })}, members: device},
			`type "char" is not accepted`},
		"device in the archive": {hostile{entries: []Entry{x}, members: device}, "not what the manifest lists"},
		"pipe in the archive": {hostile{entries: []Entry{x}, members: foreign(&tar.Header{Name: "x", Typeflag: tar.TypeFifo})},
			"not what the manifest lists"},
		"global header": {hostile{entries: []Entry{x}, members: foreign(&tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"path": "/tmp/x"}})},
			"not what the manifest lists"},
		"other name": {hostile{entries: []Entry{x}, members: member(file("y", "x"), "x")}, "x: the member is not what the manifest lists"},
		"other mode": {hostile{entries: []Entry{x}, members: member(with(x, func(e *Entry) { e.Mode = 0o4755 }), "x")},
			"not what the manifest lists"},
		"other attribute": {hostile{entries: []Entry{x}, members: member(with(x, func(e *Entry) { e.Xattrs = map[string][]byte{"security.capability": {1}} }), "x")},
			"not what the manifest lists"},
		"other link":     {hostile{entries: []Entry{link("a", "b", Symlink)}, members: member(link("a", "/etc", Symlink), "")}, "not what the manifest lists"},
		"other order":    {hostile{entries: []Entry{x, file("y", "x")}, members: two(file("y", "x"), x)}, "not what the manifest lists"},
		"other content":  {hostile{entries: []Entry{x}, content: "y"}, "the pack was altered"},
		"member missing": {hostile{entries: []Entry{x, file("y", "x")}, members: member(x, "x")}, "y: "},
		"member too many": {hostile{entries: []Entry{x}, members: two(x, file("y", "x"))},
			"after the last member: there is something"},
		"after the end": {hostile{entries: []Entry{x}, content: "x", tail: strings.Repeat("more", 512)}, "after its end"},
		"long zeros after the end": {hostile{entries: []Entry{x}, content: "x", tail: strings.Repeat("\x00", 2<<20)},
			"after its end"},
		"too big": {hostile{entries: []Entry{with(x, func(e *Entry) { e.Size = 65 << 30 })}, members: []byte{}},
			"more than 68719476736 bytes of content"},
		"too big together": {hostile{entries: []Entry{
			with(file("x", ""), func(e *Entry) { e.Size = 40 << 30 }), with(file("y", ""), func(e *Entry) { e.Size = 40 << 30 })}, members: []byte{}},
			"more than 68719476736 bytes of content"},
		"negative size": {hostile{entries: []Entry{with(x, func(e *Entry) { e.Size = -1 })}, members: []byte{}}, "out of range"},
		"extents outside": {hostile{entries: []Entry{with(x, func(e *Entry) { e.Sparse, e.Extents = true, []Extent{{1 << 62, 1 << 62}} })}, content: "x"},
			"lie outside"},
		"extents overlap": {hostile{entries: []Entry{with(file("x", "xxxx"), func(e *Entry) { e.Sparse, e.Extents = true, []Extent{{0, 3}, {2, 2}} })}, content: "xxxx"},
			"overlap"},
		"other format": {hostile{entries: []Entry{with(x, func(e *Entry) { e.Mode = 0o100644 })}, members: []byte{}}, "mode or owner out of range"},
		"chunks too short": {hostile{entries: []Entry{with(file("x", "xx"), func(e *Entry) { e.Chunks = []Chunk{{1, x.SHA256, nil}} })}, content: "xx"},
			"chunks do not fit"},
		"chunks too long": {hostile{entries: []Entry{with(x, func(e *Entry) { e.Chunks = []Chunk{{1, x.SHA256, nil}, {1, x.SHA256, nil}} })}, content: "x"},
			"chunks do not fit"},
		"chunk of nothing": {hostile{entries: []Entry{with(x, func(e *Entry) { e.Chunks = []Chunk{{0, x.SHA256, nil}, {1, x.SHA256, nil}} })}, content: "x"},
			"chunks do not fit"},
		"chunk without a base":   {hostile{entries: []Entry{inBase(Place{"x", 0})}}, "refers to a base, and none is named"},
		"chunk outside the base": {hostile{base: base, entries: []Entry{inBase(Place{"../x", 0})}}, "leads outside"},
		"chunk at a wrong place": {hostile{base: base, entries: []Entry{inBase(Place{"x", -1})}}, "out of range"},
		"chunk too large": {hostile{base: base, entries: []Entry{with(file("x", strings.Repeat("x", maxChunk+1)), func(e *Entry) {
			e.Chunks = []Chunk{{maxChunk + 1, e.SHA256, &Place{"x", 0}}}
		})}}, "out of range"},
		"base missing":          {hostile{base: base, entries: []Entry{inBase(Place{"x", 0})}}, "refers to content of artifact b, which is not here; download that, too"},
		"base without a digest": {hostile{base: &BaseID{Name: "b"}, entries: []Entry{x}, content: "x"}, "digest of the base is malformed"},
		"huge attribute": {hostile{entries: []Entry{with(x, func(e *Entry) { e.Xattrs = map[string][]byte{"user.x": make([]byte, 70_000)} })}, members: []byte{}},
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
