package sbom

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
)

// CycloneDX is the bill as CycloneDX 1.6 in JSON.
func (s System) CycloneDX() ([]byte, error) {
	bom := cdx.NewBOM()
	// The same system has the same serial number.
	bom.SerialNumber = uuid.NewSHA1(uuid.NameSpaceURL, []byte(s.Namespace+"#cyclonedx")).URN()
	system := cdx.Component{
		BOMRef: "os", Type: cdx.ComponentTypeOS, Name: s.Name, Version: s.Version,
		Properties: &[]cdx.Property{{Name: "nosa:arch", Value: s.Arch}},
	}
	if _, err := hex.DecodeString(s.Commit); err == nil && len(s.Commit) == 64 {
		system.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: s.Commit}}
	}
	if s.Supplier != "" {
		system.Supplier = &cdx.OrganizationalEntity{Name: s.Supplier}
	}
	bom.Metadata = &cdx.Metadata{
		Timestamp: s.Created.UTC().Format("2006-01-02T15:04:05Z"), Component: &system,
		Tools: &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: "nosa-actions"}}},
	}
	var components []cdx.Component
	var refs []string
	for i, p := range s.Packages {
		ref := fmt.Sprintf("rpm-%d-%s", i+1, identifier(p.Name))
		refs = append(refs, ref)
		components = append(components, cdx.Component{
			BOMRef: ref, Type: cdx.ComponentTypeLibrary, Name: p.Name, Version: p.EVR(), PackageURL: p.purl(),
		})
	}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: system.BOMRef, Dependencies: &refs}}
	var out bytes.Buffer
	err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6)
	return out.Bytes(), err
}

// identifier keeps the letters that both formats allow in references.
func identifier(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-':
			return r
		}
		return '-'
	}, s)
}
