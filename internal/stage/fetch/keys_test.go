package fetch

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// signer is a throw-away key.
type signer struct {
	t    testing.TB
	home string // of gpg
}

// signers gives two keys, which are made once.
func signers(t testing.TB) (ours, stranger signer) {
	testkit.NeedTool(t, "gpg", "gpgconf", "rpmsign", "rpmkeys")
	return newSigner(t, "ours"), newSigner(t, "stranger")
}

func newSigner(t testing.TB, name string) signer {
	s := signer{t: t, home: filepath.Join(shared, name)}
	if _, err := os.Stat(s.home); err == nil {
		return s
	}
	require.NoError(t, os.Mkdir(s.home, 0o700))
	s.gpg("--passphrase", "", "--quick-gen-key", "packager", "rsa2048", "sign", "never")
	return s
}

// stopAgents ends the programs that gpg leaves behind.
func stopAgents() {
	for _, name := range []string{"ours", "stranger"} {
		_, _ = tool.Host{}.Run(context.Background(), tool.Cmd{Name: "gpgconf", Args: []string{"--homedir", filepath.Join(shared, name), "--kill", "all"}})
	}
}

func (s signer) run(name string, args ...string) {
	s.t.Helper()
	_, err := tool.Host{}.Run(s.t.Context(), tool.Cmd{Name: name, Args: args, Env: []string{"GNUPGHOME=" + s.home}})
	require.NoError(s.t, err)
}

func (s signer) gpg(args ...string) {
	s.t.Helper()
	s.run("gpg", append([]string{"--batch", "--yes", "--quiet", "--pinentry-mode=loopback"}, args...)...)
}

// export writes the public key.
func (s signer) export(path string) {
	s.t.Helper()
	require.NoError(s.t, os.MkdirAll(filepath.Dir(path), 0o755))
	s.gpg("--armor", "--output", path, "--export", "packager")
}

func (s signer) sign(packages ...string) {
	s.t.Helper()
	s.run("rpmsign", append([]string{"--define=_gpg_name packager", "--define=_gpg_path " + s.home, "--define=__gpg /usr/bin/gpg", "--addsign"}, packages...)...)
}

// signRepo signs the metadata of a repository.
func (s signer) signRepo(dir string) {
	s.t.Helper()
	s.gpg("--armor", "--detach-sign", filepath.Join(dir, "repodata/repomd.xml"))
}

// appAndLib makes a directory with two packages, without metadata yet.
func appAndLib(t testing.TB) (dir, app, lib string) {
	testkit.NeedTool(t, "dnf", "createrepo_c")
	dir = t.TempDir()
	app = testkit.WriteRPM(t, dir, testkit.RPM{Name: "app", Requires: []string{"lib"}})
	return dir, app, testkit.WriteRPM(t, dir, testkit.RPM{Name: "lib"})
}

func TestPackagesAreVerifiedWithTheKeysOfTheirRepository(t *testing.T) {
	ours, stranger := signers(t)
	signed, app, lib := appAndLib(t)
	ours.sign(app, lib)
	testkit.IndexRepository(t, signed)
	half, app, _ := appAndLib(t)
	ours.sign(app)
	testkit.IndexRepository(t, half)
	foreign, app, lib := appAndLib(t)
	ours.sign(app)
	stranger.sign(lib)
	testkit.IndexRepository(t, foreign)
	tampered, app, lib := appAndLib(t)
	ours.sign(app, lib)
	tamper(t, lib)
	testkit.IndexRepository(t, tampered) // whoever changes packages can do that too

	keys := t.TempDir()
	ours.export(filepath.Join(keys, "RPM-GPG-KEY-12"))
	stranger.export(filepath.Join(keys, "stranger"))
	both := []string{"app-1-1.noarch", "lib-1-1.noarch"}
	for name, c := range map[string]struct {
		repo, options string
		err           string
	}{
		"a key beside the .repo file":    {signed, "gpgkey=keys/ours", ""},
		"a key by URL, with a variable":  {signed, "gpgkey=file://" + keys + "/RPM-GPG-KEY-$releasever", ""},
		"a key over HTTP":                {signed, "gpgkey=" + serveDir(t, keys) + "/RPM-GPG-KEY-12", ""},
		"one key of several":             {signed, "gpgkey=file://" + keys + "/stranger\n  keys/ours", ""},
		"no check":                       {half, "gpgcheck=0", ""},
		"no key":                         {signed, "", `os.repo:1:1: repository "os" says gpgcheck=1 but names no key; add gpgkey=, or say gpgcheck=0`},
		"a key that is not there":        {signed, "gpgkey=keys/gone", `os.repo:1:1: repository "os" cannot be read`},
		"something that is no key":       {signed, "gpgkey=os.repo", `os.repo:1:1: repository "os": import the keys of gpgkey`},
		"an unsigned package":            {half, "gpgkey=keys/ours", `repository "os": lib-1-1.noarch.rpm is not signed; sign it, or say gpgcheck=0 for the repository`},
		"a package of a stranger":        {foreign, "gpgkey=keys/ours", "which is not among those of gpgkey; add that key to gpgkey if you trust it"},
		"a package changed after it was": {tampered, "gpgkey=keys/ours", "the signature of lib-1-1.noarch.rpm is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			url := serveDir(t, c.repo)
			if c.err != "" {
				url = "file://" + c.repo // the copy in the cache is verified all the same
			}
			w := newWorld(t, nil)
			require.NoError(t, os.Remove(filepath.Join(w.dir.Config(), "base.repo")))
			w.config(map[string]string{"os.repo": "[os]\ngpgcheck=1\nbaseurl=" + url + "\n" + c.options + "\n"})
			ours.export(filepath.Join(w.dir.Config(), "keys/ours"))
			if c.err == "" {
				require.Equal(t, both, w.fetched(Options{}))
				return
			}
			_, err := w.fetch(Options{})
			require.ErrorContains(t, err, c.err)
			_, err = w.composed()
			require.ErrorContains(t, err, "must fetch before building")
		})
	}
}

// tamper changes a package in its payload, behind its signed header.
func tamper(t testing.TB, path string) {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	text[len(text)-1] ^= 0xff
	require.NoError(t, os.WriteFile(path, text, 0o644))
}

func TestAKeyOfOneRepositoryIsNoKeyOfAnother(t *testing.T) {
	ours, stranger := signers(t)
	dir, app, lib := appAndLib(t)
	ours.sign(app, lib)
	testkit.IndexRepository(t, dir)
	w := newWorld(t, map[string]string{"base.repo": "[os]\ngpgcheck=1\ngpgkey=stranger\nbaseurl=file://" + dir +
		"\n[other]\ngpgcheck=1\ngpgkey=ours\nbaseurl={extra}\n"})
	ours.export(filepath.Join(w.dir.Config(), "ours"))
	stranger.export(filepath.Join(w.dir.Config(), "stranger"))
	_, err := w.fetch(Options{})
	require.ErrorContains(t, err, `repository "os": app-1-1.noarch.rpm is signed with key`)
}

func TestAChangedKeyCountsForWhatIsInTheCache(t *testing.T) {
	ours, stranger := signers(t)
	dir, app, lib := appAndLib(t)
	ours.sign(app, lib)
	testkit.IndexRepository(t, dir)
	ours.signRepo(dir)
	w := newWorld(t, map[string]string{"base.repo": "[os]\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=key\nbaseurl=" + serveDir(t, dir) + "\n"})
	ours.export(filepath.Join(w.dir.Config(), "key"))
	w.fetched(Options{})
	w.fetched(Options{})
	stranger.export(filepath.Join(w.dir.Config(), "key"))
	_, err := w.fetch(Options{})
	require.Error(t, err)
	w.config(map[string]string{"base.repo": strings.ReplaceAll("[os]\ngpgcheck=1\ngpgkey=key\nbaseurl=URL\n", "URL", serveDir(t, dir))})
	_, err = w.fetch(Options{})
	require.ErrorContains(t, err, "which is not among those of gpgkey")
}

func TestSignedMetadata(t *testing.T) {
	ours, stranger := signers(t)
	make := func(by *signer) string {
		dir, _, _ := appAndLib(t)
		testkit.IndexRepository(t, dir)
		if by != nil {
			by.signRepo(dir)
		}
		return dir
	}
	changed := make(&ours)
	index := filepath.Join(changed, "repodata/repomd.xml")
	text, err := os.ReadFile(index)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(index, append(text, '\n'), 0o644))
	const mend = "repo_gpgcheck=1 needs repodata/repomd.xml.asc, signed with a key of gpgkey"
	for name, c := range map[string]struct{ repo, err string }{
		"signed":            {make(&ours), ""},
		"not signed":        {make(nil), mend},
		"by a stranger":     {make(&stranger), mend},
		"changed afterward": {changed, mend},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, map[string]string{"base.repo": "[os]\nrepo_gpgcheck=1\ngpgkey=key\nbaseurl=" + serveDir(t, c.repo) + "\n"})
			ours.export(filepath.Join(w.dir.Config(), "key"))
			if c.err == "" {
				require.Equal(t, []string{"app-1-1.noarch", "lib-1-1.noarch"}, w.fetched(Options{}))
				return
			}
			_, err := w.fetch(Options{})
			require.ErrorContains(t, err, `base.repo:1:1: repository "os" cannot be read from http://`)
			require.ErrorContains(t, err, c.err)
		})
	}
}
