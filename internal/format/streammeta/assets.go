package streammeta

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// AssetsName is the asset that maps files to assets.
const AssetsName = "assets.json"

// Assets is the content of assets.json, a format of our own: what each file of
// a build is called on the release page, and how large ones were split.
type Assets struct {
	SchemaVersion string  `json:"schema-version"` // "1.0.0"; readers accept any 1.x
	Release       string  `json:"release"`        // build id
	Tag           string  `json:"tag"`
	BaseURL       string  `json:"base-url"` // an asset lies at BASE-URL/NAME
	Assets        []Asset `json:"assets"`
}

// Asset is one file, whole.
type Asset struct {
	Name     string `json:"name"`               // on the release page, or, of a split one, after joining
	Path     string `json:"path,omitempty"`     // below builds/ID, "ARCH/FILE"; empty for what the release adds
	Arch     string `json:"arch,omitempty"`     // rpm name
	Artifact string `json:"artifact,omitempty"` // key in meta.json, such as "qemu"
	Size     int64  `json:"size"`               // bytes
	SHA256   string `json:"sha256"`             // hex

	UncompressedSHA256 string `json:"uncompressed-sha256,omitempty"`
	UncompressedSize   int64  `json:"uncompressed-size,omitempty"`

	Signature string `json:"signature,omitempty"` // name of the asset with the detached signature
	// Parts are what the file was split into, in order; none if it was not.
	Parts []Part `json:"parts,omitempty"`
}

// Part is one asset of a split file.
type Part struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

var (
	assetName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*$`)
	sha256Hex = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// ParseAssets reads an assets.json. Names are what GitHub keeps, so they can
// name files without leading anywhere else.
func ParseAssets(data []byte) (*Assets, error) {
	var a Assets
	if err := json.Unmarshal(data, &a); err != nil {
		return nil, err
	}
	if major, _, _ := strings.Cut(a.SchemaVersion, "."); major != "1" {
		return nil, fmt.Errorf("schema version %q is not supported, only 1.x is", a.SchemaVersion)
	}
	for _, asset := range a.Assets {
		if err := checkPart(Part{asset.Name, asset.Size, asset.SHA256}); err != nil {
			return nil, err
		}
		var sum int64
		for _, p := range asset.Parts {
			if err := checkPart(p); err != nil {
				return nil, err
			}
			if p.Name == asset.Name || p.Size > asset.Size-sum {
				return nil, fmt.Errorf("asset %s: its parts cannot make it up", asset.Name)
			}
			sum += p.Size
		}
		if len(asset.Parts) > 0 && sum != asset.Size {
			return nil, fmt.Errorf("asset %s: its parts have %d bytes, and it has %d", asset.Name, sum, asset.Size)
		}
	}
	return &a, nil
}

func checkPart(p Part) error {
	if !assetName.MatchString(p.Name) || p.Size < 0 || !sha256Hex.MatchString(p.SHA256) {
		return fmt.Errorf("asset %q: not a name, size and sha256", p.Name)
	}
	return nil
}

// JSON is the content of assets.json.
func (a *Assets) JSON() ([]byte, error) { return indented(a) }
