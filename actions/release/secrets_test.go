package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nestos/nosa-actions/internal/release/publish/githubtest"
)

// signingKey is the script command "signingkey PASSPHRASE": a key for the step, as a
// workflow gives it.
func signingKey(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: signingkey PASSPHRASE")
	}
	entity, err := openpgp.NewEntity("NestOS", "", "release@example.org", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	ts.Check(err)
	ts.Check(entity.EncryptPrivateKeys([]byte(args[0]), nil))
	var private bytes.Buffer
	w, err := armor.Encode(&private, openpgp.PrivateKeyType, nil)
	ts.Check(err)
	ts.Check(entity.SerializePrivateWithoutSigning(w, nil))
	ts.Check(w.Close())
	ts.Setenv("NOSA_SIGNING_KEY", private.String())
	ts.Setenv("NOSA_SIGNING_PASSPHRASE", args[0])
}

// nowhere is the script command "nowhere SECRET...": neither these nor a line of the
// signing key are in a file of the script, or in what GitHub has of releases.
func nowhere(ts *testscript.TestScript, neg bool, args []string) {
	secrets := args
	for line := range strings.Lines(ts.Getenv("NOSA_SIGNING_KEY")) {
		if line = strings.TrimSpace(line); len(line) > 40 {
			secrets = append(secrets, line)
		}
	}
	if neg || len(secrets) < len(args)+2 {
		ts.Fatalf("usage: nowhere SECRET..., after signingkey")
	}
	seen := 0
	look := func(place string, data []byte) {
		seen++
		for _, secret := range secrets {
			if bytes.Contains(data, []byte(secret)) {
				ts.Fatalf("%s has %q", place, secret)
			}
		}
	}
	ts.Check(filepath.WalkDir(ts.Getenv("WORK"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		look(path, data)
		return err
	}))
	for _, r := range ts.Value(server{}).(*githubtest.Server).Releases() {
		look(r.Tag, []byte(r.Name+r.Body+r.Target))
		for _, a := range r.Assets {
			look(a.Name, append([]byte(a.Name+a.Label+a.ContentType), a.Content...))
		}
	}
	ts.Logf("%d places", seen)
}
