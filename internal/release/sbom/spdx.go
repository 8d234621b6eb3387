package sbom

import (
	"bytes"
	"fmt"

	"github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"
)

const noAssertion = "NOASSERTION"

// SPDX is the bill as SPDX 2.3 in JSON.
func (s System) SPDX() ([]byte, error) {
	const document, system = "DOCUMENT", "Package-os"
	doc := v2_3.Document{
		SPDXVersion: v2_3.Version, DataLicense: v2_3.DataLicense, SPDXIdentifier: document,
		DocumentName: fmt.Sprintf("%s-%s.%s", s.Name, s.Version, s.Arch), DocumentNamespace: s.Namespace,
		CreationInfo: &v2_3.CreationInfo{
			Creators: []common.Creator{{CreatorType: "Tool", Creator: "nosa-actions"}},
			Created:  s.Created.UTC().Format("2006-01-02T15:04:05Z"),
		},
	}
	top := spdxPackage(system, s.Name, s.Version)
	top.PrimaryPackagePurpose = "OPERATING-SYSTEM"
	if s.Supplier != "" {
		top.PackageSupplier = &common.Supplier{SupplierType: "Organization", Supplier: s.Supplier}
	}
	if s.Commit != "" {
		top.PackageComment = "OSTree commit " + s.Commit
	}
	doc.Packages = append(doc.Packages, top)
	relate := func(a, b common.ElementID, how string) {
		doc.Relationships = append(doc.Relationships, &v2_3.Relationship{
			RefA: common.MakeDocElementID("", string(a)), RefB: common.MakeDocElementID("", string(b)), Relationship: how,
		})
	}
	relate(document, system, common.TypeRelationshipDescribe)
	for i, p := range s.Packages {
		id := common.ElementID(fmt.Sprintf("Package-rpm-%d-%s", i+1, identifier(p.Name)))
		one := spdxPackage(id, p.Name, p.EVR())
		one.PackageExternalReferences = []*v2_3.PackageExternalReference{{
			Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: p.purl(),
		}}
		doc.Packages = append(doc.Packages, one)
		relate(system, id, common.TypeRelationshipContains)
	}
	var out bytes.Buffer
	err := json.Write(&doc, &out, json.Indent(" "))
	return out.Bytes(), err
}

func spdxPackage(id common.ElementID, name, version string) *v2_3.Package {
	return &v2_3.Package{
		PackageSPDXIdentifier: id, PackageName: name, PackageVersion: version,
		PackageDownloadLocation: noAssertion, FilesAnalyzed: false, IsFilesAnalyzedTagPresent: true,
		PackageLicenseConcluded: noAssertion, PackageLicenseDeclared: noAssertion, PackageCopyrightText: noAssertion,
	}
}
