package own_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/tools/rpmpool/convert"
	"github.com/nestos/nosa-actions/tools/rpmpool/deb"
	"github.com/nestos/nosa-actions/tools/rpmpool/own"
)

func load(t *testing.T) map[string]convert.Input {
	t.Helper()
	all, err := own.Packages()
	require.NoError(t, err)
	byName := map[string]convert.Input{}
	for _, in := range all {
		byName[in.Name] = in
	}
	return byName
}

func find(t *testing.T, in convert.Input, name string) deb.File {
	t.Helper()
	for _, f := range in.Files {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("%s has no %s", in.Name, name)
	return deb.File{}
}

func TestPackagesAreComplete(t *testing.T) {
	all := load(t)
	require.Contains(t, all, convert.Filesystem)
	require.Empty(t, all[convert.Filesystem].Relations.Requires, "it comes first")
	for name, in := range all {
		var first, second bytes.Buffer
		require.NoError(t, in.Write(&first), name)
		require.NoError(t, in.Write(&second), name)
		require.Equal(t, first.Bytes(), second.Bytes(), name)
		for file := range in.Config {
			find(t, in, file)
		}
		if name != convert.Filesystem {
			require.Contains(t, in.Relations.Requires, convert.Filesystem, name)
		}
	}
}

func TestFilesystemIsMergedAndHasNoPassword(t *testing.T) {
	fs := load(t)[convert.Filesystem]
	for place, target := range map[string]string{"/bin": "usr/bin", "/sbin": "usr/sbin", "/lib": "usr/lib", "/lib64": "usr/lib64"} {
		require.Equal(t, target, find(t, fs, place).Target)
		find(t, fs, "/"+target)
	}
	require.Equal(t, uint(0o1777), find(t, fs, "/tmp").Mode)
	for _, name := range []string{"/etc/shadow", "/etc/gshadow"} {
		f := find(t, fs, name)
		require.Equal(t, uint(0o600), f.Mode)
		for line := range strings.Lines(string(f.Body)) {
			require.Equal(t, "*", strings.Split(line, ":")[1], line)
		}
	}
}

func TestScriptsAreValidShell(t *testing.T) {
	testkit.NeedTool(t, "bash", "dash")
	check := func(shell, what string, text []byte) {
		_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: shell, Args: []string{"-n"}, Stdin: bytes.NewReader(text)})
		require.NoError(t, err, what)
	}
	for name, in := range load(t) {
		check("dash", name+" post", []byte(in.Post))
		check("dash", name+" posttrans", []byte(in.Posttrans))
		for _, f := range in.Files {
			first, _, _ := bytes.Cut(f.Body, []byte("\n"))
			switch shell, _ := strings.CutPrefix(string(first), "#!/bin/"); shell {
			case "sh":
				require.Equal(t, uint(0o755), f.Mode, f.Name)
				check("dash", f.Name, f.Body)
			case "bash":
				check("bash", f.Name, f.Body)
			}
		}
	}
}

// The presets switch on only what exists: a unit of ours, or one whose name is
// spelled as Debian does.
func TestPresetUnitsOfOursExist(t *testing.T) {
	base := load(t)["nestos-debian-base"]
	text := find(t, base, "/usr/lib/systemd/system-preset/40-nestos-base.preset").Body
	var ours int
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 2 && strings.HasPrefix(words[1], "nestos-") {
			unit := find(t, base, path.Join("/usr/lib/systemd/system", words[1]))
			require.Contains(t, string(unit.Body), "[Install]", words[1])
			ours++
		}
	}
	require.Positive(t, ours)
}

// What PXE boots is checked block by block while it comes in.
func TestStreamIsVerifiedByBlock(t *testing.T) {
	testkit.NeedTool(t, "sh", "dd", "sha256sum")
	base := load(t)["nestos-debian-base"]
	script := find(t, base, "/usr/lib/dracut/modules.d/51nestos-live/verify-stream")
	const blocks = "block one!block two!end"
	list := "stream-hash sha256 10\n"
	for _, block := range []string{"block one!", "block two!", "end"} {
		list += fmt.Sprintf("%x\n", sha256.Sum256([]byte(block)))
	}
	for name, c := range map[string]struct{ list, stream, out, complaint string }{
		"whole":          {list, blocks, blocks, ""},
		"damaged":        {list, "block one!block 2wo!end", "block one!", "block 1 is damaged"},
		"cut":            {list, blocks[:20], blocks[:20], "block 2 is damaged"},
		"too long":       {list, blocks + "x", "block one!block two!", "block 2 is damaged"},
		"block too many": {strings.Join(strings.SplitAfter(list, "\n")[:3], ""), blocks, blocks[:20], "more than the 2 blocks"},
		"other list":     {"stream-hash md5 10\n", blocks, "", "is a list of another format"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "list")
			require.NoError(t, os.WriteFile(path, []byte(c.list), 0o644))
			var out bytes.Buffer
			_, err := tool.Host{}.Run(t.Context(), tool.Cmd{
				Name: "sh", Args: []string{"-c", string(script.Body), "verify-stream", path}, Stdin: strings.NewReader(c.stream), Stdout: &out,
			})
			require.Equal(t, c.out, out.String(), "nothing unverified passes")
			if c.complaint == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.complaint)
		})
	}
}
