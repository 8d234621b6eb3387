package container

import (
	"archive/tar"
	_ "crypto/sha256" // go-digest knows only the algorithms that are linked in
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxIndex bounds the index of an OCI layout; real ones have a few hundred bytes.
const maxIndex = 4 << 20

// LayoutDigest reads which manifest an oci: or oci-archive: reference stands
// for, without unpacking anything. With a digest in the reference it must be
// that one.
func LayoutDigest(r Reference) (digest.Digest, error) {
	index, err := readIndex(r)
	if err != nil {
		return "", fmt.Errorf("image %s: %w", r, err)
	}
	found, err := choose(index.Manifests, r.Tag)
	if err != nil {
		return "", fmt.Errorf("image %s: %w", r, err)
	}
	if r.Digest != "" && found != r.Digest {
		return "", &DigestError{Reference: r, Got: found}
	}
	return found, nil
}

// DigestError says that an image is not the one that was asked for.
type DigestError struct {
	Reference Reference
	Got       digest.Digest
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("image %s: its digest is %s, not the one that was asked for", e.Reference, e.Got)
}

func choose(manifests []imagespec.Descriptor, tag string) (digest.Digest, error) {
	var found []digest.Digest
	for _, m := range manifests {
		if tag == "" || m.Annotations[imagespec.AnnotationRefName] == tag {
			found = append(found, m.Digest)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%d manifests fit; name one by its tag", len(found))
	}
	return found[0], found[0].Validate()
}

func readIndex(r Reference) (imagespec.Index, error) {
	var index imagespec.Index
	var data []byte
	var err error
	if r.Transport == OCI {
		data, err = os.ReadFile(filepath.Join(r.Name, imagespec.ImageIndexFile))
	} else {
		data, err = memberOf(r.Name, imagespec.ImageIndexFile)
	}
	if err != nil {
		return index, err
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return index, fmt.Errorf("index.json: %w", err)
	}
	return index, nil
}

// memberOf reads one small file of a tar file; blobs are skipped by seeking.
func memberOf(archive, name string) ([]byte, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for t := tar.NewReader(f); ; {
		header, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("no %s in it; is it an OCI archive?", name)
		}
		if err != nil {
			return nil, fmt.Errorf("not an OCI archive: %w", err)
		}
		if filepath.Clean(header.Name) != name {
			continue
		}
		if header.Size > maxIndex {
			return nil, fmt.Errorf("%s has %d bytes", name, header.Size)
		}
		return io.ReadAll(t)
	}
}
