package deb_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/tools/rpmpool/deb"
	"github.com/nestos/nosa-actions/tools/rpmpool/debtest"
)

const control = `Package: hello
Source: greetings (2.9)
Version: 1:2.10-3+b1
Architecture: amd64
Maintainer: Somebody <somebody@example.org>
Depends: libc6 (>= 2.36), bash | zsh
Pre-Depends: dpkg (>= 1.17)
Description: says hello
 It greets.
`

func TestPackageIsReadInEveryCompression(t *testing.T) {
	for _, compression := range []string{"xz", "gzip", "zstd", "none"} {
		t.Run(compression, func(t *testing.T) {
			path := debtest.Build(t, debtest.Spec{
				Control:     control,
				Conffiles:   "/etc/hello.conf\n",
				Compression: compression,
				Files:       map[string]string{"/etc/hello.conf": "loud\n", "/usr/bin/hello": "#!/bin/sh\n"},
				Modes:       map[string]os.FileMode{"/usr/bin/hello": 0o755 | os.ModeSetuid},
				HardLinks:   map[string]string{"/usr/bin/hello2": "/usr/bin/hello"},
				Links:       map[string]string{"/usr/bin/hi": "hello"},
			})

			p, err := deb.Open(path)
			require.NoError(t, err)
			files, err := p.Files(t.Context(), tool.Host{})
			require.NoError(t, err)

			require.Equal(t, "hello", p.Control.Package)
			require.Equal(t, "1:2.10-3+b1", p.Control.Version.String())
			require.Equal(t, "libc6", p.Control.Depends.Relations[0].Possibilities[0].Name)
			require.Equal(t, "dpkg", p.Control.PreDepends.Relations[0].Possibilities[0].Name)
			require.Equal(t, map[string]bool{"/etc/hello.conf": true}, p.Conffiles)
			found := map[string]deb.File{}
			for _, f := range files {
				require.Equal(t, "root", f.Owner)
				found[f.Name] = f
			}
			require.Equal(t, "loud\n", string(found["/etc/hello.conf"].Body))
			for _, name := range []string{"/usr/bin/hello", "/usr/bin/hello2"} {
				require.Equal(t, uint(0o4755), found[name].Mode, name)
				require.Equal(t, "#!/bin/sh\n", string(found[name].Body), name)
			}
			require.Equal(t, deb.Symlink, found["/usr/bin/hi"].Kind)
			require.Equal(t, "hello", found["/usr/bin/hi"].Target)
			require.Equal(t, deb.Directory, found["/usr/bin"].Kind)
		})
	}
}

func TestBrokenPackageIsNamed(t *testing.T) {
	whole, err := os.ReadFile(debtest.Build(t, debtest.Spec{Control: control}))
	require.NoError(t, err)
	for name, test := range map[string]struct {
		content []byte
		want    string
	}{
		"empty":       {nil, "not a Debian package"},
		"other file":  {[]byte("PK\x03\x04 and more"), "not a Debian package"},
		"cut short":   {whole[:len(whole)-10], `ar member "data.tar.xz": unexpected EOF`},
		"cut at head": {whole[:40], "unexpected EOF"},
		"no control":  {[]byte("!<arch>\n"), "no control archive inside"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bad.deb")
			require.NoError(t, os.WriteFile(path, test.content, 0o644))

			_, err := deb.Open(path)

			require.ErrorContains(t, err, "bad.deb: ")
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestDamagedDataIsReported(t *testing.T) {
	path := debtest.Build(t, debtest.Spec{Control: control, Files: map[string]string{"/usr/bin/hello": "hello"}})
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	data[len(data)-30] ^= 0xff
	require.NoError(t, os.WriteFile(path, data, 0o644))
	p, err := deb.Open(path)
	require.NoError(t, err)

	_, err = p.Files(t.Context(), tool.Host{})

	require.ErrorContains(t, err, "data.tar.xz: ")
}
