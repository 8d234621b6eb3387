package testkit

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/rpmpack"
	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/tool"
)

// RPM is a small package for tests.
type RPM struct {
	Name, Version, Release string // Version and Release default to "1"
	Arch                   string // defaults to noarch
	Requires               []string
	Provides               []string
	Recommends             []string
	Files                  []rpmpack.RPMFile
	Pre, Post, Posttrans   string // shell scriptlets
	BuildTime              uint32 // seconds since the epoch; defaults to 1700000000
}

// WriteRPM writes the package into dir and returns its path.
func WriteRPM(t testing.TB, dir string, p RPM) string {
	t.Helper()
	meta := rpmpack.RPMMetaData{
		Name: p.Name, Summary: p.Name, Version: or(p.Version, "1"), Release: or(p.Release, "1"),
		Arch: or(p.Arch, "noarch"), OS: "linux", Compressor: "zstd",
		BuildTime: time.Unix(int64(p.BuildTime), 0),
	}
	if p.BuildTime == 0 {
		meta.BuildTime = time.Unix(1700000000, 0)
	}
	for _, list := range []struct {
		to   *rpmpack.Relations
		from []string
	}{{&meta.Requires, p.Requires}, {&meta.Provides, p.Provides}, {&meta.Recommends, p.Recommends}} {
		for _, text := range list.from {
			require.NoError(t, list.to.Set(text))
		}
	}
	r, err := rpmpack.NewRPM(meta)
	require.NoError(t, err)
	for _, f := range p.Files {
		f.Owner, f.Group = or(f.Owner, "root"), or(f.Group, "root")
		r.AddFile(f)
	}
	if p.Pre != "" {
		r.AddPrein(p.Pre)
	}
	if p.Post != "" {
		r.AddPostin(p.Post)
	}
	if p.Posttrans != "" {
		r.AddPosttrans(p.Posttrans)
	}
	var buf bytes.Buffer
	require.NoError(t, r.Write(&buf))
	path := filepath.Join(dir, meta.Name+"-"+meta.Version+"-"+meta.Release+"."+meta.Arch+".rpm")
	require.NoError(t, os.WriteFile(path, buf.Bytes(), 0o644))
	return path
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// Repository makes an RPM repository of the packages and returns its directory.
func Repository(t testing.TB, packages ...RPM) string {
	t.Helper()
	NeedTool(t, "createrepo_c")
	dir := t.TempDir()
	for _, p := range packages {
		WriteRPM(t, dir, p)
	}
	IndexRepository(t, dir)
	return dir
}

// IndexRepository writes the metadata of the packages in dir anew.
func IndexRepository(t testing.TB, dir string) {
	t.Helper()
	_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "createrepo_c", Args: []string{"--quiet", dir}})
	require.NoError(t, err)
}
