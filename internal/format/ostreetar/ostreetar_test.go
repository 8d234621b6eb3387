package ostreetar_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/format/ostreerepo"
	"github.com/nestos/nosa-actions/internal/format/ostreetar"
	"github.com/nestos/nosa-actions/internal/testkit"
)

var (
	root  = ostreerepo.Header{Mode: 0o040755}
	plain = ostreerepo.Header{Mode: ostreerepo.FileMode(0o4755), UID: 7, GID: 8, Size: 5}
	empty = ostreerepo.Header{Mode: ostreerepo.FileMode(0o644)}
	link  = ostreerepo.Header{Mode: ostreerepo.LinkMode, Target: "../x//y"}
)

func sample(t *testing.T) []byte {
	var buf bytes.Buffer
	w := ostreetar.NewWriter(&buf)
	require.NoError(t, w.Dir("/", &root))
	require.NoError(t, w.Repo())
	require.NoError(t, w.Metadata(ostreerepo.KindCommit, ostreerepo.Checksum{1}, []byte("commit")))
	require.NoError(t, w.Metadata(ostreerepo.KindDirtree, ostreerepo.Checksum{2}, []byte("tree")))
	require.NoError(t, w.Dir("/usr/etc", &root))
	require.NoError(t, w.File(ostreerepo.Checksum{3}, &plain, strings.NewReader("hello"), []string{"/usr/bin/a", "/usr/etc/b"}))
	require.NoError(t, w.File(ostreerepo.Checksum{4}, &empty, strings.NewReader(""), []string{"/usr/empty"}))
	require.NoError(t, w.File(ostreerepo.Checksum{5}, &link, strings.NewReader(""), []string{"/usr/link"}))
	require.NoError(t, w.Close())
	return buf.Bytes()
}

func TestLayerHasTheMembersOfTheFormat(t *testing.T) {
	var lines bytes.Buffer
	for r := tar.NewReader(bytes.NewReader(sample(t))); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		require.EqualValues(t, 0, h.ModTime.Unix())
		shard, inside := strings.CutPrefix(h.Name, "sysroot/ostree/repo/objects/")
		if inside && len(shard) == len("00/") && shard != "00/" && shard != "ff/" {
			continue // 254 like these
		}
		fmt.Fprintf(&lines, "%c %05o %d:%d %d %s %s\n", h.Typeflag, h.Mode, h.Uid, h.Gid, h.Size, h.Name, h.Linkname)
	}
	testkit.Golden(t, "layer.txt", lines.Bytes())
}

func TestReaderGivesWhatWasWritten(t *testing.T) {
	r := ostreetar.NewReader(bytes.NewReader(sample(t)))
	next := func() *ostreetar.Object {
		o, err := r.Next()
		require.NoError(t, err)
		return o
	}
	require.Equal(t, &ostreetar.Object{Kind: ostreerepo.KindCommit, Checksum: ostreerepo.Checksum{1}, Data: []byte("commit")}, next())
	require.Equal(t, ostreerepo.KindDirtree, next().Kind)
	for i, want := range []ostreerepo.Header{plain, empty, link} {
		o := next()
		require.Equal(t, ostreerepo.Checksum{byte(3 + i)}, o.Checksum)
		want.Xattrs = []byte{}
		require.Equal(t, want, *o.Header)
		if i == 0 {
			content, err := io.ReadAll(o.Content)
			require.NoError(t, err)
			require.Equal(t, "hello", string(content))
		}
	}
	_, err := r.Next()
	require.Equal(t, io.EOF, err)
}

const shard = "sysroot/ostree/repo/objects/00/"

var rest = strings.Repeat("0", 62)

func TestReaderRefusesHostileLayers(t *testing.T) {
	emptySum := "e3/b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.file-xattrs"
	for name, c := range map[string]struct {
		members []tar.Header
		want    string
	}{
		"climbing name":            {[]tar.Header{{Name: shard + "../../../../etc/passwd.file"}}, "not the path of an object"},
		"short checksum":           {[]tar.Header{{Name: shard + "12.commit"}}, "not the path of an object"},
		"unknown kind":             {[]tar.Header{{Name: shard + rest + ".tombstone"}}, "unknown type of object"},
		"file without attributes":  {[]tar.Header{{Name: shard + rest + ".file"}}, "do not stand before it"},
		"attributes without file":  {[]tar.Header{{Name: shard + rest + ".file-xattrs-link"}}, "without the object"},
		"attributes that lie":      {[]tar.Header{{Name: shard + rest + ".file-xattrs"}}, "have the checksum"},
		"attributes from anywhere": {[]tar.Header{{Name: shard + rest + ".file-xattrs-link", Typeflag: tar.TypeLink, Linkname: "/etc/shadow"}}, "not the path of extended attributes"},
		"attributes not there": {[]tar.Header{
			{Name: shard + rest + ".file-xattrs-link", Typeflag: tar.TypeLink, Linkname: "sysroot/ostree/repo/objects/" + emptySum},
			{Name: shard + rest + ".file"},
		}, "are missing"},
		"commit as a link": {[]tar.Header{{Name: shard + rest + ".commit", Typeflag: tar.TypeSymlink, Linkname: "/etc/shadow"}}, "not a regular file"},
		"device as a file": {[]tar.Header{
			{Name: shard + rest + ".file-xattrs-link"},
			{Name: shard + rest + ".file", Typeflag: tar.TypeChar},
		}, "neither a file nor a symbolic link"},
		"huge commit": {[]tar.Header{{Name: shard + rest + ".commit", Size: 1 << 40}}, "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			var buf bytes.Buffer
			w := tar.NewWriter(&buf)
			for _, h := range c.members {
				require.NoError(t, w.WriteHeader(&h))
			}
			r := ostreetar.NewReader(&buf)
			for {
				_, err := r.Next()
				if err != nil {
					require.ErrorContains(t, err, c.want)
					return
				}
			}
		})
	}
}

func TestCheckPathRefusesWhatTheLayoutTakes(t *testing.T) {
	for _, path := range []string{"/etc", "/etc/x", "/sysroot/ostree", "/sysroot/ostree/repo"} {
		require.ErrorIs(t, ostreetar.CheckPath(path), ostreetar.ErrOverlap, path)
	}
	for _, path := range []string{"/", "/usr/etc/x", "/etcetera", "/sysroot", "/ostree"} {
		require.NoError(t, ostreetar.CheckPath(path), path)
	}
}

func FuzzReader(f *testing.F) {
	var buf bytes.Buffer
	w := ostreetar.NewWriter(&buf)
	_ = w.Metadata(ostreerepo.KindCommit, ostreerepo.Checksum{1}, []byte("commit"))
	_ = w.File(ostreerepo.Checksum{3}, &plain, strings.NewReader("hello"), []string{"/usr/bin/a"})
	_ = w.File(ostreerepo.Checksum{5}, &link, strings.NewReader(""), []string{"/usr/link"})
	_ = w.Close()
	f.Add(buf.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		r := ostreetar.NewReader(bytes.NewReader(data))
		for {
			o, err := r.Next()
			if err != nil {
				return
			}
			if o.Content != nil {
				n, _ := io.Copy(io.Discard, o.Content)
				require.LessOrEqual(t, uint64(n), o.Header.Size)
			}
		}
	})
}
