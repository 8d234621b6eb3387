package page_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/nestos/nosa-actions/internal/format/streammeta"
	"github.com/nestos/nosa-actions/internal/release/page"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/testkit/browsertest"
	"github.com/nestos/nosa-actions/internal/tool"
)

func sum(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}

// asset is a file of the sample whose checksum comes of its name.
func asset(version, artifact, arch, tail string, size, unpacked int64) streammeta.Asset {
	name := fmt.Sprintf("nestos-%s-%s%s", version, artifact, strings.ReplaceAll(tail, "ARCH", arch))
	return streammeta.Asset{
		Name: name, Arch: arch, Artifact: artifact, Size: size, SHA256: sum(name), UncompressedSize: unpacked, Signature: name + ".sig",
	}
}

// sampleRelease has all kinds of files, one of them in parts.
func sampleRelease(version string, day int) page.Release {
	r := page.Release{
		Date: time.Date(2025, 1, day, 9, 0, 0, 0, time.UTC), URL: "https://github.com/nestos/nestos/releases/tag/v" + version,
		Revision: "c67105ec4c775cc029638e7ccd7e4505353b6ddd",
		Assets: streammeta.Assets{
			SchemaVersion: "1.0.0", Release: version, BaseURL: "https://github.com/nestos/nestos/releases/download/v" + version,
		},
	}
	for i, arch := range []string{"x86_64", "aarch64"} {
		n := int64(i) * 23456789
		metal := asset(version, "metal", arch, ".ARCH.raw.zst", 2500112233+n, 9663676416)
		for part := range 2 {
			metal.Parts = append(metal.Parts, streammeta.Part{Name: fmt.Sprintf("%s.part%d", metal.Name, part+1), Size: metal.Size / 2})
		}
		r.Assets.Assets = append(r.Assets.Assets,
			asset(version, "ostree", arch, ".ARCH.ociarchive", 812345344+n, 0),
			asset(version, "qemu", arch, ".ARCH.qcow2.xz", 612345344+n, 2147483648),
			metal,
			asset(version, "live-iso", arch, ".ARCH.iso", 1012345344+n, 0),
			asset(version, "live-kernel", arch, "-ARCH", 12345344+n, 0),
			asset(version, "live-initramfs", arch, ".ARCH.img", 82345344+n, 0),
			asset(version, "live-rootfs", arch, ".ARCH.img", 912345344+n, 0),
			asset(version, "kubevirt", arch, ".ARCH.ociarchive", 712345344+n, 0))
		r.Arches = append(r.Arches, page.Arch{
			Name: arch, Commit: sum(version + arch), Ref: "nestos/" + arch + "/stable",
			Container: "registry.example.org/nestos/nestos:stable", Digest: "sha256:" + sum("image"+version+arch),
		})
	}
	for _, name := range []string{"SHA256SUMS", "release.json", "nestos-sbom.spdx.json", "packages.txt"} {
		r.Assets.Assets = append(r.Assets.Assets, streammeta.Asset{Name: name, Size: 14321, SHA256: sum(name)})
	}
	for i := range 18 {
		r.Changes = append(r.Changes, page.Change{Package: fmt.Sprintf("package-%d", i), From: fmt.Sprintf("1.%d-1.oe2403", i), To: fmt.Sprintf("1.%d-2.oe2403", i+1)})
	}
	r.Changes = append(r.Changes,
		page.Change{Package: "kernel", From: "6.6.0-72.0.0.76.oe2403", To: "6.6.0-71.0.0.75.oe2403", Down: true},
		page.Change{Package: "a-package-with-quite-a-long-name-libs", To: "2.0.0-1.oe2403sp1"},
		page.Change{Package: "gone", From: "1-1"})
	return r
}

func sample() page.Site {
	first := sampleRelease("24.03-LTS.20250114.0", 14)
	older := sampleRelease("24.03-LTS.20250107.0", 7)
	older.Prerelease = true
	return page.Site{
		Name: "NestOS", Stream: "stable", Repository: "nestos/nestos", Home: "https://nestos.openeuler.org/",
		Summary:   "An operating system for containers that updates itself as a whole and goes back when it must.",
		OSTreeURL: "https://nestos.github.io/nestos/repo",
		Releases:  []page.Release{first, older},
	}
}

func render(t *testing.T, s page.Site) string {
	data, err := page.Render(s)
	require.NoError(t, err)
	return string(data)
}

func TestThePageIsTheGoldenOne(t *testing.T) {
	testkit.Golden(t, "page.html", []byte(render(t, sample())))
}

// elements walks the page as a browser would parse it.
func elements(t *testing.T, text string) (all []*html.Node) {
	root, err := html.Parse(strings.NewReader(text))
	require.NoError(t, err)
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			all = append(all, n)
		}
	}
	return all
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// textOf is the text of an element.
func textOf(n *html.Node) (text string) {
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			text += c.Data
		}
	}
	return text
}

func TestThePageNeedsNothingElse(t *testing.T) {
	ids := map[string]bool{}
	for _, n := range elements(t, render(t, sample())) {
		require.NotContains(t, []string{"script", "link", "img", "iframe", "object", "base", "form"}, n.Data)
		for _, a := range n.Attr {
			require.False(t, strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "style", a.Key)
		}
		if id := attribute(n, "id"); id != "" {
			require.False(t, ids[id], "id %s is there twice", id)
			ids[id] = true
		}
	}
	for _, n := range elements(t, render(t, sample())) {
		if target, ok := strings.CutPrefix(attribute(n, "href"), "#"); ok {
			require.True(t, ids[target], "#%s leads nowhere", target)
		}
	}
}

// hostile is in turn each text that comes from outside.
const hostile = `"><script>alert(1)</script>'; rm -rf ~; $(reboot) ` + "`id`\n\x1b[2Jjavascript:alert(1)"

func TestHostileTextStaysText(t *testing.T) {
	s := sample()
	s.Name, s.Summary, s.Stream, s.Repository = hostile, hostile, hostile, hostile
	r := &s.Releases[0]
	r.Revision, r.Assets.Release = hostile, hostile
	for i := range r.Assets.Assets {
		a := &r.Assets.Assets[i]
		a.Arch, a.SHA256 = hostile, hostile
		if a.Artifact == "kubevirt" {
			a.Artifact = hostile
		}
	}
	for i := range r.Arches {
		r.Arches[i] = page.Arch{Name: hostile, Commit: hostile, Ref: hostile, Container: hostile, Digest: hostile}
	}
	for i := range r.Changes {
		r.Changes[i] = page.Change{Package: hostile, From: hostile, To: hostile}
	}
	harmless := map[string]bool{}
	for _, n := range elements(t, render(t, sample())) {
		harmless[n.Data] = true
	}
	for _, n := range elements(t, render(t, s)) {
		require.True(t, harmless[n.Data], "element %s", n.Data)
		if href := attribute(n, "href"); href != "" {
			require.Regexp(t, `^(https://|#)`, href)
		}
		if n.Data == "pre" {
			requireHarmlessCommands(t, textOf(n))
		}
	}
}

// requireHarmlessCommands lets a real shell run the commands, with programs that
// only note that they were called.
func requireHarmlessCommands(t *testing.T, commands string) {
	dir := t.TempDir()
	for _, name := range []string{"curl", "sha256sum", "sudo", "gh", "skopeo", "openstack", "xz", "zstd", "gzip", "qemu-system-x86_64", "qemu-system-aarch64"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o755))
	}
	for _, name := range []string{"rm", "reboot", "id"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\ntouch \"$0.ran\"\n"), 0o755))
	}
	_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "env", Dir: dir, Args: []string{"PATH=" + dir, "/bin/sh", "-euc", commands}})
	require.NoError(t, err, commands)
	ran, err := filepath.Glob(dir + "/*.ran")
	require.NoError(t, err)
	require.Empty(t, ran, commands)
}

func TestAddressesAreOfTheWeb(t *testing.T) {
	for _, bad := range []string{"javascript:alert(1)", "https:opaque", "file:///etc/passwd", "//host/x", "https://user:word@host/", "ht tp://x"} {
		for name, set := range map[string]func(*page.Site){
			"base":   func(s *page.Site) { s.Releases[0].Assets.BaseURL = bad },
			"home":   func(s *page.Site) { s.Home = bad },
			"page":   func(s *page.Site) { s.Releases[1].URL = bad },
			"ostree": func(s *page.Site) { s.OSTreeURL = bad },
		} {
			s := sample()
			set(&s)
			_, err := page.Render(s)
			require.ErrorContains(t, err, "is no address of the web", name)
		}
	}
	_, err := page.Render(page.Site{Name: "NestOS"})
	require.EqualError(t, err, "download page: there is no release to show")
}

func TestNamesAreOfFiles(t *testing.T) {
	for _, bad := range []string{"../.profile", "-rf", "a b", "a/b", "$(id)", ".hidden", hostile} {
		for name, set := range map[string]func(*streammeta.Asset){
			"name":      func(a *streammeta.Asset) { a.Name = bad },
			"signature": func(a *streammeta.Asset) { a.Signature = bad },
			"part":      func(a *streammeta.Asset) { a.Parts = []streammeta.Part{{Name: bad}} },
		} {
			s := sample()
			set(&s.Releases[1].Assets.Assets[2])
			_, err := page.Render(s)
			require.ErrorContains(t, err, "is no name of a release asset", name)
		}
	}
}

func TestTheLeastThatCanBeShown(t *testing.T) {
	text := render(t, page.Site{Name: "os", Releases: []page.Release{{Assets: streammeta.Assets{
		Release: "1", BaseURL: "http://127.0.0.1:8000/files/",
		Assets: []streammeta.Asset{{Name: "os.qcow2", Artifact: "qemu", Arch: "riscv64", Size: 999_600, SHA256: sum("os")}},
	}}}})
	require.Contains(t, text, "http://127.0.0.1:8000/files/os.qcow2")
	require.Contains(t, text, "1.0 MB")
	require.NotContains(t, text, `href="#verify"`)
	require.NotContains(t, text, "ZgotmplZ")
}

// The commands on the page do what they say, with the real programs.
func TestCommandsVerifyWhatTheyDownload(t *testing.T) {
	testkit.NeedTool(t, "curl")
	content := "content of the image\n"
	www := t.TempDir()
	a := streammeta.Asset{Name: "os.raw.zst", Artifact: "metal", Arch: "x86_64", Size: int64(len(content)), SHA256: sum(content)}
	for i, piece := range []string{content[:8], content[8:]} {
		name := fmt.Sprintf("%s.%d", a.Name, i+1)
		require.NoError(t, os.WriteFile(filepath.Join(www, name), []byte(piece), 0o644))
		a.Parts = append(a.Parts, streammeta.Part{Name: name, Size: int64(len(piece)), SHA256: sum(piece)})
	}
	server := httptest.NewServer(http.FileServer(http.Dir(www)))
	defer server.Close()
	text := render(t, page.Site{Name: "os", Releases: []page.Release{{Assets: streammeta.Assets{
		Release: "1", BaseURL: server.URL, Assets: []streammeta.Asset{a},
	}}}})
	var commands []string
	for _, n := range elements(t, text) {
		if n.Data == "pre" {
			commands = append(commands, textOf(n))
		}
	}
	require.Len(t, commands, 2)
	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "env", Dir: t.TempDir(), Args: []string{"LC_ALL=C", "sh", "-ec", commands[0]}})
	require.NoError(t, err)
	require.Equal(t, "os.raw.zst: OK\n", string(out))
}

// TestInABrowser looks at the page as people do.
func TestInABrowser(t *testing.T) { browsertest.Look(t, render(t, sample()), 200) }
