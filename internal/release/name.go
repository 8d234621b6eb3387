package release

import (
	"crypto/sha256"
	"fmt"
	"path"
	"strings"
)

// maxName keeps names, with what is added for parts and signatures, below what
// GitHub and file systems take.
const maxName = 180

// names gives out names for assets. GitHub turns characters that it does not
// keep into dots; so do we, before it does.
type names map[string]bool

// of is the asset name for a file.
func (n names) of(file string) string {
	name := clean(file)
	if len(name) > maxName {
		name = distinct(name[:maxName-16], file) + path.Ext(name[maxName-16:])
	}
	if n[strings.ToLower(name)] { // not all file systems tell case apart
		name = distinct(name, file)
	}
	n[strings.ToLower(name)] = true
	return name
}

// distinct adds to name what only file has.
func distinct(name, file string) string {
	sum := sha256.Sum256([]byte(file))
	return fmt.Sprintf("%s-%x", strings.TrimRight(name, "."), sum[:4])
}

// clean makes a name of what GitHub keeps.
func clean(file string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._-", r):
			return r
		}
		return '.'
	}, file)
	if name = strings.Trim(name, "."); name == "" {
		return "file"
	}
	return name
}

// contentTypes are those of the assets' names by their ends.
var contentTypes = []struct{ end, kind string }{
	{".json", "application/json"}, {".txt", "text/plain; charset=utf-8"}, {"SHA256SUMS", "text/plain; charset=utf-8"},
	{".sh", "text/x-shellscript"}, {".sig", "application/pgp-signature"}, {".asc", "application/pgp-keys"},
	{".gz", "application/gzip"}, {".xz", "application/x-xz"}, {".zst", "application/zstd"}, {".zip", "application/zip"},
	{".iso", "application/x-iso9660-image"}, {".ociarchive", "application/x-tar"}, {".tar", "application/x-tar"}, {".qcow2", "application/x-qemu-disk"},
}

func contentType(name string) string {
	for _, t := range contentTypes {
		if strings.HasSuffix(name, t.end) {
			return t.kind
		}
	}
	return "application/octet-stream"
}
