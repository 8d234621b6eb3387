package oci_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/format/ostreerepo/repotest"
	"github.com/nestos/nosa-actions/internal/image/oci"
	"github.com/nestos/nosa-actions/internal/tool"
)

// withComponents is repotest.Tree with an initramfs and two overlays, of which the
// second replaces a file of a package.
func withComponents(t *testing.T) (tree string, in oci.ExportInput) {
	tree = repotest.Tree(t)
	for name, text := range map[string]string{
		"usr/lib/modules/6.6/initramfs.img": repotest.Noise(3 << 20), "usr/lib/modules/6.6/modules.dep": "dep\n",
		"usr/share/core": "core\n", "usr/etc/core.conf": "conf\n", "usr/lib/generated": "made\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(tree, name), []byte(text), 0o644))
	}
	return tree, oci.ExportInput{
		Repo: repotest.Init(t, "bare-user"), Output: filepath.Join(t.TempDir(), "out"), Packages: packages,
		Components: []oci.Component{
			{Name: "build/initramfs", Files: []string{"/usr/lib/modules/6.6/initramfs.img"}},
			{Name: "build/kernel", Dirs: []string{"/usr/lib/modules/6.6"}},
			{Name: "build/nothing", Files: []string{"/not/there"}},
			{Name: "overlay/99late", Files: []string{"/usr/share/core", "/usr/bin/ping"}},
			{Name: "overlay/05core", Files: []string{"/etc/core.conf", "/usr/share/core", "/usr/lib/empty-too"}},
		},
	}
}

func TestComponentsHaveLayersOfTheirOwn(t *testing.T) {
	tree, in := withComponents(t)
	in.Commit = repotest.Commit(t, in.Repo, tree)
	raw, err := oci.Export(t.Context(), tool.Host{}, in)
	require.NoError(t, err)
	m := parse(t, raw)

	require.Equal(t, []string{"", "unpackaged", "build/initramfs", "build/kernel", "overlay/99late", "overlay/05core"}, components(m)[:6])
	for component, files := range map[string][]string{
		"build/initramfs": {"usr/lib/modules/6.6/initramfs.img"},
		"build/kernel":    {"usr/lib/modules/6.6/modules.dep", "usr/lib/modules/6.6/vmlinuz"},
		"overlay/99late":  {"usr/bin/ping", "usr/share/core"},
		"overlay/05core":  {"etc/core.conf"}, // its empty file is that of a package
	} {
		require.ElementsMatch(t, files, pathsOf(t, in.Output, m, component), component)
	}
	repo := repotest.Init(t, "archive")
	_, err = oci.Import(t.Context(), tool.Host{}, in.Output, repo)
	require.NoError(t, err)
	repotest.Ostree(t, "fsck", "--repo="+repo)
}

// An overlay's change brings the layers of the commit and of that overlay, whatever
// the limit; packages stay in their layers also when the build before knew of no
// components.
func TestOneChangedOverlayFileDownloadsLittle(t *testing.T) {
	tree, in := withComponents(t)
	in.MaxLayers = 3
	in.Commit = repotest.Commit(t, in.Repo, tree)
	without := in
	without.Components = nil
	before, err := oci.Export(t.Context(), tool.Host{}, without)
	require.NoError(t, err)
	in.Previous = before
	first, err := oci.Export(t.Context(), tool.Host{}, in)
	require.NoError(t, err)
	require.Equal(t, components(parse(t, before))[2:], components(parse(t, first))[6:], "packages do not move")

	require.NoError(t, os.WriteFile(filepath.Join(tree, "usr/share/core"), []byte("changed\n"), 0o644))
	in.Commit, in.Previous, in.PreviousArchive = repotest.Commit(t, in.Repo, tree), first, in.Output
	in.Output += ".next"
	second, err := oci.Export(t.Context(), tool.Host{}, in)
	require.NoError(t, err)

	got, whole := download(parse(t, first), parse(t, second))
	require.Less(t, got, int64(20_000), "of %d", whole)
	require.Greater(t, whole, int64(4<<20))
}

// download is what a client that has the first image gets for the second, in bytes,
// and the size of that.
func download(have, want v1.Manifest) (bytes, whole int64) {
	there := map[string]bool{}
	for _, l := range have.Layers {
		there[l.Digest.String()] = true
	}
	for _, l := range want.Layers {
		whole += l.Size
		if !there[l.Digest.String()] {
			bytes += l.Size
		}
	}
	return bytes, whole
}

func TestTooManyComponentsAreOfNobody(t *testing.T) {
	tree, in := withComponents(t)
	in.Commit = repotest.Commit(t, in.Repo, tree)
	last := in.Components[4]
	for range 30 {
		in.Components = append(in.Components[:4:4], append([]oci.Component{{Name: "overlay/none"}}, in.Components[4:]...)...)
	}
	in.Components[len(in.Components)-1] = last
	raw, err := oci.Export(t.Context(), tool.Host{}, in)
	require.NoError(t, err)
	require.NotContains(t, components(parse(t, raw)), "overlay/05core")
}

func TestComponentsCannotBeTakenForPackages(t *testing.T) {
	_, in := withComponents(t)
	in.Commit = "ref"
	for name, change := range map[string]func(){
		`"kernel" cannot be the name of a component`: func() { in.Components[0].Name = "kernel" },
		`"a/b,c" cannot be the name of a component`:  func() { in.Components[0].Name = "a/b,c" },
		`"over/lay" cannot be the name of a package`: func() { in.Packages = []oci.PackageFiles{{Name: "over/lay"}} },
	} {
		in.Commit = repotest.Commit(t, in.Repo, t.TempDir())
		change()
		_, err := oci.Export(t.Context(), tool.Host{}, in)
		require.ErrorContains(t, err, name)
		_, in = withComponents(t)
	}
}

// pathsOf lists the paths of a layer.
func pathsOf(t *testing.T, archive string, m v1.Manifest, component string) (files []string) {
	for i, name := range components(m) {
		if name == component {
			blob := "blobs/sha256/" + m.Layers[i].Digest.Encoded()
			for _, line := range strings.Fields(run(t, "sh", "-c", `tar -xOf "$0" "$1" | tar -tzvf - | sed -n 's/^h.* \([^ ]*\) link to .*/\1/p'`, archive, blob)) {
				if filepath.Dir(filepath.Dir(filepath.Dir(line))) != "sysroot/ostree/repo" {
					files = append(files, line)
				}
			}
		}
	}
	return files
}
