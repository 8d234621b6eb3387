package container_test

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/assembler/container"
)

const sum = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestReferencesAreExact(t *testing.T) {
	for text, want := range map[string]container.Reference{
		"registry.example.org/nosa/assembler:v1":          {Transport: container.Registry, Name: "registry.example.org/nosa/assembler", Tag: "v1"},
		"docker://registry.example.org/nosa/assembler:v1": {Transport: container.Registry, Name: "registry.example.org/nosa/assembler", Tag: "v1"},
		"registry.example.org/nosa/assembler@" + sum:      {Transport: container.Registry, Name: "registry.example.org/nosa/assembler", Digest: sum},
		"localhost:5000/assembler:v1@" + sum:              {Transport: container.Registry, Name: "localhost:5000/assembler", Tag: "v1", Digest: sum},
		"oci-archive:/a/b.tar":                            {Transport: container.OCIArchive, Name: "/a/b.tar"},
		"oci-archive:/a/b.tar:v1@" + sum:                  {Transport: container.OCIArchive, Name: "/a/b.tar", Tag: "v1", Digest: sum},
		"oci:/a/layout:v1":                                {Transport: container.OCI, Name: "/a/layout", Tag: "v1"},
		"[::1]:5000/nosa/assembler:latest@" + sum:         {Transport: container.Registry, Name: "[::1]:5000/nosa/assembler", Tag: "latest", Digest: sum},
	} {
		got, err := container.ParseReference(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
		require.Equal(t, strings.TrimPrefix(text, "docker://"), got.String())
	}
}

func TestReferencesThatDependOnTheMachineAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"assembler:v1":                           "names no registry",
		"nosa/assembler:v1":                      "names no registry",
		"registry.example.org/nosa/assembler":    "neither tag nor digest",
		"registry.example.org/Nosa/assembler:v1": "must be lowercase",
		"":                                       "at least one component",
		"oci:":                                   "path is empty",
		"oci:a:b:c":                              "has a colon",
		"oci:a@sha256:12":                        "invalid checksum digest length",
		"registry.example.org/a@sha256:12":       "invalid",
	} {
		_, err := container.ParseReference(text)
		require.ErrorContains(t, err, want, text)
	}
}

func TestWhatIsNoArchiveIsNamed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.tar")
	ref := container.Reference{Transport: container.OCIArchive, Name: file}
	_, err := container.LayoutDigest(ref)
	require.ErrorIs(t, err, os.ErrNotExist)

	require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("no tar", 200)), 0o644))
	_, err = container.LayoutDigest(ref)
	require.ErrorContains(t, err, "not an OCI archive")

	for index, want := range map[string]string{
		"":                                      "no index.json in it; is it an OCI archive?",
		"{":                                     "index.json: unexpected end of JSON input",
		`{"manifests":[]}`:                      "0 manifests fit; name one by its tag",
		`{"manifests":[{"digest":"sha256:x"}]}`: "invalid checksum digest",
		`{"manifests":[{"digest":"` + sum + `"},{"digest":"` + sum + `"}]}`: "2 manifests fit; name one by its tag",
	} {
		require.NoError(t, os.WriteFile(file, archive(t, index), 0o644))
		_, err = container.LayoutDigest(ref)
		require.ErrorContains(t, err, want)
	}
}

func archive(t testing.TB, index string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if index != "" {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: "./index.json", Size: int64(len(index)), Mode: 0o644}))
		_, err := w.Write([]byte(index))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func FuzzLayoutDigest(f *testing.F) {
	f.Add(archive(f, `{"manifests":[{"digest":"`+sum+`"}]}`), "v1")
	f.Fuzz(func(t *testing.T, data []byte, tag string) {
		file := filepath.Join(t.TempDir(), "a.tar")
		require.NoError(t, os.WriteFile(file, data, 0o644))
		d, err := container.LayoutDigest(container.Reference{Transport: container.OCIArchive, Name: file, Tag: tag})
		if err == nil {
			require.NoError(t, d.Validate())
		}
	})
}

func FuzzParseReference(f *testing.F) {
	for _, text := range []string{"registry.example.org/a/b:c@" + sum, "oci:/a:b", "oci-archive:x.tar@" + sum, "a:b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := container.ParseReference(text)
		if err != nil {
			return
		}
		again, err := container.ParseReference(r.String())
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}
