package boot_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// iso is a copy of the ISO that a test changes as tools for customising do: in
// place.
type iso struct{ path string }

func (w world) copyISO(t *testing.T) iso {
	t.Helper()
	path := filepath.Join(t.TempDir(), "live.iso")
	host(t, "", "cp", "--reflink=auto", w.image(t, "live-iso"), path)
	require.NoError(t, os.Chmod(path, 0o600))
	return iso{path}
}

var extent = regexp.MustCompile(`File data lba: +0 , +(\d+) , +\d+ , +(\d+) ,`)

// at finds where a file lies in the ISO, in bytes, and its size.
func (i iso) at(t *testing.T, name string) (offset, size int64) {
	t.Helper()
	found := extent.FindStringSubmatch(host(t, "", "xorriso", "-indev", i.path, "-find", "/"+name, "-exec", "report_lba", "--"))
	require.NotNil(t, found, name)
	block, err := strconv.ParseInt(found[1], 10, 64)
	require.NoError(t, err)
	size, err = strconv.ParseInt(found[2], 10, 64)
	require.NoError(t, err)
	return block * 2048, size
}

func (i iso) read(t *testing.T, name string) []byte {
	t.Helper()
	f, err := os.Open(i.path)
	require.NoError(t, err)
	defer f.Close()
	offset, size := i.at(t, name)
	content := make([]byte, size)
	_, err = f.ReadAt(content, offset)
	require.NoError(t, err)
	return content
}

func (i iso) write(t *testing.T, offset int64, content []byte) {
	t.Helper()
	f, err := os.OpenFile(i.path, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt(content, offset)
	require.NoError(t, err)
}

// embedConfig puts an Ignition config into the area for it.
func (i iso) embedConfig(t *testing.T, config []byte) {
	t.Helper()
	var area struct{ File string }
	require.NoError(t, json.Unmarshal(i.read(t, "nestos/igninfo.json"), &area))
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.ign"), config, 0o600))
	archive := host(t, dir, "sh", "-c", "echo config.ign | cpio --quiet -o -H newc | xz --check=crc32")
	offset, size := i.at(t, area.File)
	require.Less(t, int64(len(archive)), size)
	i.write(t, offset, []byte(archive))
}

// addKargs adds kernel arguments to all boot menus.
func (i iso) addKargs(t *testing.T, more string) {
	t.Helper()
	var area struct {
		Default string
		Size    int
		Files   []struct {
			Path, Pad, End string
			Offset         int64
		}
	}
	require.NoError(t, json.Unmarshal(i.read(t, "nestos/kargs.json"), &area))
	for _, f := range area.Files {
		text := area.Default + " " + more + f.End
		require.Less(t, len(text), area.Size)
		text += strings.Repeat(f.Pad, area.Size-len(text))
		offset, _ := i.at(t, f.Path)
		i.write(t, offset+f.Offset, []byte(text))
	}
}
