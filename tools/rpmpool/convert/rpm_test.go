package convert_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/tools/rpmpool/convert"
	"github.com/nestos/nosa-actions/tools/rpmpool/deb"
	"github.com/nestos/nosa-actions/tools/rpmpool/debtest"
)

var spec = debtest.Spec{
	Control: `Package: hello
Source: greetings (2.9)
Version: 1:2.10-rc1-3
Architecture: amd64
Maintainer: Somebody <somebody@example.org>
Section: text
Homepage: https://example.org/hello
Depends: libc6 (>= 2.36)
Provides: greeter (= 2)
Conflicts: rude
Breaks: silence
Description: says hello
 It greets.
`,
	Conffiles: "/etc/hello.conf\n",
	Files: map[string]string{
		"/etc/hello.conf":                             "loud\n",
		"/bin/hello":                                  "#!/bin/sh\n",
		"/usr/share/doc/hello/copyright":              "Format: x\n\nFiles: *\nLicense: MIT\n",
		"/usr/share/doc/hello/README":                 "read\n",
		"/usr/share/locale/de/LC_MESSAGES/hello.mo":   "hallo",
		"/usr/share/locale/de/nothing.txt":            "",
		"/usr/lib/systemd/system/hello.service":       "[Service]\n",
		"/usr/share/perl5/Hello/Very Long Name 1.txt": "x",
	},
	Modes: map[string]os.FileMode{"/bin/hello": 0o755 | os.ModeSetuid},
	Links: map[string]string{"/usr/bin/hi": "../../bin/hello"},
}

func write(t *testing.T) []byte {
	t.Helper()
	p, err := deb.Open(debtest.Build(t, spec))
	require.NoError(t, err)
	files, err := p.Files(t.Context(), tool.Host{})
	require.NoError(t, err)
	index := convert.NewIndex([]*deb.Package{p}, []deb.File{{Name: "/usr"}, {Name: "/usr/bin"}})
	rel, err := index.Relations(p.Control)
	require.NoError(t, err)
	in := index.FromDeb(p, rel, files)
	require.Equal(t, "hello-2.10_rc1-3.x86_64.rpm", in.FileName())
	var out bytes.Buffer
	require.NoError(t, in.Write(&out))
	return out.Bytes()
}

func TestTheSamePackageGivesTheSameBytes(t *testing.T) {
	require.Equal(t, write(t), write(t))
}

func TestRPMReadsWhatWeWrite(t *testing.T) {
	testkit.NeedTool(t, "rpm")
	path := filepath.Join(t.TempDir(), "hello.rpm")
	require.NoError(t, os.WriteFile(path, write(t), 0o644))
	rpm := func(args ...string) string {
		out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "rpm", Args: append(args, path), Env: []string{"TZ=UTC"}})
		require.NoError(t, err)
		return string(out)
	}

	require.Contains(t, rpm("-K"), "digests OK")
	require.Equal(t, "hello 1:2.10_rc1-3 x86_64 greetings-2.10_rc1-3.src.rpm MIT text|says hello|It greets.|https://example.org/hello|1700000000",
		rpm("-qp", "--qf", "%{name} %{epoch}:%{version}-%{release} %{arch} %{sourcerpm} %{license} %{group}|%{summary}|%{description}|%{url}|%{buildtime}"))
	require.Equal(t, "filesystem\nlibc6 >= 2.36-0\n", rpm("-qp", "--requires"))
	require.Equal(t, "hello = 1:2.10_rc1-3\ngreeter = 2-0\n", rpm("-qp", "--provides"))
	require.Equal(t, "rude\n", rpm("-qp", "--conflicts"))
	require.Equal(t, "/etc/hello.conf\n", rpm("-qpc"))
	require.Equal(t, "/usr/share/doc/hello/README\n", rpm("-qpd"))
	require.Equal(t, "/usr/share/doc/hello/copyright\n", rpm("-qpL"))

	lines := strings.Split(rpm("-qp", "--qf", `[%{filenames} %{filemodes:perms} %{fileusername}:%{filegroupname} %{filesizes} %{filelinktos} %{filelangs}\n]`), "\n")
	require.Contains(t, lines, "/usr/bin/hello -rwsr-xr-x root:root 10  ")
	require.Contains(t, lines, "/usr/bin/hi lrwxrwxrwx root:root 5 hello ")
	require.Contains(t, lines, "/usr/share/locale/de/LC_MESSAGES/hello.mo -rw-r--r-- root:root 5  de")
	require.Contains(t, lines, "/usr/share/locale/de/nothing.txt -rw-r--r-- root:root 0  ")
	require.Contains(t, lines, "/usr/share drwxr-xr-x root:root 4096  ")
	for _, line := range lines {
		require.NotRegexp(t, "^/(bin|usr|usr/bin) ", line, "base directories belong to another package")
	}
}
