package release

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// signer makes detached OpenPGP signatures. Their time is that of the build, so
// that RSA and EdDSA keys give the same signature for the same file each time.
type signer struct {
	entity *openpgp.Entity
	config *packet.Config
}

// newSigner reads an armored private key and unlocks it. Its errors say nothing
// of what is in the key.
func newSigner(armored, passphrase string, built time.Time) (*signer, error) {
	keys, err := openpgp.ReadArmoredKeyRing(strings.NewReader(armored))
	if err != nil || len(keys) != 1 || keys[0].PrivateKey == nil {
		return nil, refuse("the signing key is not one private key in ASCII armor", "give what gpg --armor --export-secret-keys KEY prints")
	}
	s := &signer{entity: keys[0]}
	if _, ok := s.entity.SigningKey(time.Now()); !ok {
		return nil, refuse("the signing key cannot sign now", "give a key that is meant for signing and has not expired")
	}
	if err := s.entity.DecryptPrivateKeys([]byte(passphrase)); err != nil {
		return nil, refuse("the signing key cannot be unlocked", "give its passphrase too")
	}
	at := built
	key, _ := s.entity.SigningKey(time.Now())
	for _, made := range []time.Time{s.entity.PrimaryKey.CreationTime, key.PublicKey.CreationTime} {
		if at.Before(made) {
			at = made // a signature older than its key is none
		}
	}
	s.config = &packet.Config{
		Time:                                  func() time.Time { return at },
		NonDeterministicSignaturesViaNotation: new(false),
	}
	if _, ok := s.entity.SigningKey(at); !ok {
		s.config.Time = time.Now
	}
	return s, nil
}

// sign makes the detached signature of what r holds.
func (s *signer) sign(r io.Reader) ([]byte, error) {
	var out bytes.Buffer
	if err := openpgp.DetachSign(&out, s.entity, r, s.config); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return out.Bytes(), nil
}

// signFile writes the signature of a file.
func (s *signer) signFile(ctx context.Context, path, to string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	signature, err := s.sign(struct{ io.Reader }{guard(ctx)(f)})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(to, signature, 0o644)
}
