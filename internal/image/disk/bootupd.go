package disk

import (
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// bootupdState is /boot/bootupd-state.json: what bootupd believes is installed
// and updates from. The format is bootupd's SavedState.
type bootupdState struct {
	Installed map[string]bootupdContent `json:"installed"`
	Pending   *struct{}                 `json:"pending"` // no update was interrupted
}

type bootupdContent struct {
	Meta     json.RawMessage `json:"meta"` // as the payload says
	Filetree bootupdTree     `json:"filetree"`
}

type bootupdTree struct {
	Children map[string]bootupdFile `json:"children"` // by path below EFI
}

type bootupdFile struct {
	Size   int64  `json:"size"`
	SHA512 string `json:"sha512"`
}

// copyPayload copies bootupd's payload to efi and notes in the boot directory
// what was installed, as bootupd's own install does.
func (b *builder) copyPayload(efi, boot string) error {
	meta, err := os.ReadFile(b.load.bootupd + ".json")
	if err != nil {
		return fmt.Errorf("the tree's bootupd payload has no description: %w", err)
	}
	tree := bootupdTree{Children: map[string]bootupdFile{}}
	err = filepath.WalkDir(b.load.bootupd, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(b.load.bootupd, path)
		if err != nil {
			return err
		}
		to := filepath.Join(efi, name)
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		content, err := os.ReadFile(path) // a few MiB at most
		if err != nil {
			return err
		}
		sum := sha512.Sum512(content)
		tree.Children[name] = bootupdFile{Size: int64(len(content)), SHA512: "sha512:" + hex.EncodeToString(sum[:])}
		return os.WriteFile(to, content, 0o644)
	})
	if err != nil {
		return fmt.Errorf("copying bootupd's payload: %w", err)
	}
	state, err := json.Marshal(bootupdState{Installed: map[string]bootupdContent{"EFI": {Meta: meta, Filetree: tree}}})
	if err != nil {
		return fmt.Errorf("%s.json: %w", b.load.bootupd, err)
	}
	return os.WriteFile(filepath.Join(boot, "bootupd-state.json"), append(state, '\n'), 0o644)
}
