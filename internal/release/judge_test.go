package release

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	spdx "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdxlib"
	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/testkit"
)

// key makes a private key in ASCII armor and the public one.
func key(t *testing.T, passphrase string, made time.Time) (private string, public []byte) {
	t.Helper()
	entity, err := openpgp.NewEntity("NestOS", "", "release@example.org", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, Time: func() time.Time { return made }})
	require.NoError(t, err)
	var pub, sec bytes.Buffer
	require.NoError(t, entity.Serialize(&pub))
	w, err := armor.Encode(&sec, openpgp.PrivateKeyType, nil)
	require.NoError(t, err)
	if passphrase != "" {
		require.NoError(t, entity.EncryptPrivateKeys([]byte(passphrase), nil))
	}
	require.NoError(t, entity.SerializePrivateWithoutSigning(w, nil))
	require.NoError(t, w.Close())
	return sec.String(), pub.Bytes()
}

func TestSignaturesAreThoseThatGPGTakes(t *testing.T) {
	testkit.NeedTool(t, "gpg")
	dir := world{images: []string{"qemu"}}.make(t, t.TempDir(), arch.X86_64)
	for name, made := range map[string]time.Time{
		"old key": time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), "key younger than the build": time.Now().Add(-time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			private, public := key(t, "opensesame", made)
			o := options(t, dir)
			o.limits = limits{asset: 1 << 22, part: 1 << 21}
			o.SigningKey, o.SigningPassphrase = private, "opensesame"

			p := collect(t, o)

			assets := download(t, p)
			ring := filepath.Join(t.TempDir(), "ring.gpg")
			require.NoError(t, os.WriteFile(ring, public, 0o600))
			gpg := func(signature, file string) {
				run(t, assets, "gpgv", "--keyring", ring, signature, file)
			}
			gpg("SHA256SUMS.sig", "SHA256SUMS")
			image := "nestos-24.03.20250114.0-qemu.x86_64.qcow2.gz"
			gpg(image+".sig", image)
			stream, err := os.ReadFile(filepath.Join(assets, "stream.json"))
			require.NoError(t, err)
			require.Contains(t, string(stream), image+`.sig"`)

			// A second run must find its own assets.
			o.Out = t.TempDir()
			again := collect(t, o)
			for i := range p.Assets {
				require.Equal(t, p.Assets[i].SHA256, again.Assets[i].SHA256, p.Assets[i].Name)
			}
		})
	}
	private, _ := key(t, "opensesame", time.Now().Add(-time.Hour))
	o := options(t, dir)
	o.SigningKey, o.SigningPassphrase = private, "wrong"
	_, err := Collect(t.Context(), o)
	require.ErrorContains(t, err, "the signing key cannot be unlocked; give its passphrase too")
	require.NotContains(t, err.Error(), "wrong")
}

func TestBillsOfMaterials(t *testing.T) {
	dir := world{packages: [][5]string{
		{"bash", "0", "5.2.15", "1.oe2403", "x86_64"}, {"libstdc++", "1", "12.3~rc1", "2+b1", "x86_64"}, {"gpg-pubkey", "0", "b25e7f66", "6", "(none)"},
	}}.make(t, t.TempDir(), arch.X86_64)

	assets := download(t, collect(t, options(t, dir)))

	data, err := os.ReadFile(filepath.Join(assets, "sbom.x86_64.spdx.json"))
	require.NoError(t, err)
	doc, err := spdx.Read(bytes.NewReader(data))
	require.NoError(t, err)
	require.NoError(t, spdxlib.ValidateDocument(doc))
	require.Len(t, doc.Packages, 4)
	require.Equal(t, "2025-01-14T08:03:10Z", doc.CreationInfo.Created)
	found := map[string]string{}
	for _, p := range doc.Packages[1:] {
		found[p.PackageName] = p.PackageExternalReferences[0].Locator
	}
	require.Equal(t, map[string]string{
		"bash":       "pkg:rpm/bash@5.2.15-1.oe2403?arch=x86_64",
		"libstdc++":  "pkg:rpm/libstdc%2B%2B@12.3~rc1-2%2Bb1?arch=x86_64&epoch=1",
		"gpg-pubkey": "pkg:rpm/gpg-pubkey@b25e7f66-6?arch=%28none%29",
	}, found)

	data, err = os.ReadFile(filepath.Join(assets, "sbom.x86_64.cdx.json"))
	require.NoError(t, err)
	var bom cyclonedx.BOM
	require.NoError(t, cyclonedx.NewBOMDecoder(bytes.NewReader(data), cyclonedx.BOMFileFormatJSON).Decode(&bom))
	require.Equal(t, cyclonedx.SpecVersion1_6, bom.SpecVersion)
	require.Len(t, *bom.Components, 3)
	for _, c := range *bom.Components {
		require.Equal(t, found[c.Name], c.PackageURL)
	}
	var raw map[string]any
	require.NoError(t, json.Unmarshal(data, &raw))
	require.Regexp(t, `^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-`, raw["serialNumber"])
}
