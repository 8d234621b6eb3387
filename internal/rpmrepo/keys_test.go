package rpmrepo

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseChecksigWantsOneGoodSignatureAndNoFault(t *testing.T) {
	cases := map[string]struct {
		report string
		want   rejected
	}{
		"signed":        {"/a.rpm:\n    Header V4 RSA/SHA256 Signature, key ID 0a1b: OK\n    Header SHA256 digest: OK\n    Payload SHA256 digest: OK\n", rejected{}},
		"digests alone": {"/a.rpm:\n    Header SHA256 digest: OK\n    Payload SHA256 digest: OK\n", rejected{why: unsigned}},
		"no signature at all, as rpm 4.20 says it": {"/a.rpm:\n    Header OpenPGP signature: NOTFOUND\n    Header SHA256 digest: OK\n", rejected{why: unsigned}},
		"of an unknown key":                        {"/a.rpm:\n    Header V4 EdDSA/SHA512 Signature, key ID 0a1b: NOKEY\n    Header SHA256 digest: OK\n", rejected{why: unknownKey, key: "0a1b"}},
		"of an expired key":                        {"/a.rpm:\n    Header V4 RSA/SHA256 Signature, key ID 0a1b: NOTTRUSTED\n", rejected{why: unknownKey, key: "0a1b"}},
		"two, one unknown":                         {"/a.rpm:\n    Header V4 RSA/SHA256 Signature, key ID 01: OK\n    V4 RSA/SHA256 Signature, key ID 02: NOKEY\n", rejected{why: unknownKey, key: "02"}},
		"a bad digest under a good signature":      {"/a.rpm:\n    Header V4 RSA/SHA256 Signature, key ID 01: OK\n    Payload SHA256 digest: BAD (Expected 1 != 2)\n", rejected{why: tampered}},
		"a bad signature":                          {"/a.rpm:\n    Header V4 RSA/SHA256 Signature, key ID 01: BAD\n", rejected{why: tampered}},
		"nothing":                                  {"/a.rpm:\n", rejected{why: unsigned}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, map[string]rejected{"/a.rpm": c.want}, parseChecksig(c.report))
		})
	}
	two := parseChecksig("/a.rpm:\n    digest: OK\n/b.rpm:\n    V4 Signature, key ID 1: OK\n")
	require.Equal(t, unsigned, two["/a.rpm"].why)
	require.Equal(t, good, two["/b.rpm"].why)
}

var okSignature = regexp.MustCompile(`(?i)signature.*: OK`)

// Whatever a package makes rpmkeys print, none is good without a line that says
// so.
func FuzzParseChecksig(f *testing.F) {
	f.Add("/a.rpm:\n    Header V4 RSA/SHA256 Signature, key ID 0a1b: OK\n")
	f.Add("/a.rpm:\n:\n /b:\n x: y\n")
	f.Fuzz(func(t *testing.T, report string) {
		for path, r := range parseChecksig(report) {
			if r.why == good && !okSignature.MatchString(report) {
				t.Fatalf("%q is good in %q", path, report)
			}
		}
	})
}

func TestSecretsStayOut(t *testing.T) {
	for text, want := range map[string]string{
		"http://user:pass@host/os":                       "http://host/os",
		"for https://user@host/x?token=abc, and more":    "for https://host/x, and more",
		"https://token@a/ https://b/c?d=e [IP: 1.2.3.4]": "https://a/ https://b/c [IP: 1.2.3.4]",
		"http://u:p@ss@host/os?key=x":                    "http://host/os",
		"nothing@all?":                                   "nothing@all?",
	} {
		require.Equal(t, want, withoutSecrets(text))
	}
}
