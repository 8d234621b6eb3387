package actions

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shelf is a tree of the suite with one small program, and the release that it
// belongs to, on a server of its own.
type shelf struct {
	root, bin string
	tools     string // all that the PATH has
	server    *httptest.Server
	assets    map[string][]byte
	serve     func(http.ResponseWriter, *http.Request, []byte) // nil: as they are

	mu    sync.Mutex
	asked []string
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	s := &shelf{root: t.TempDir(), tools: t.TempDir(), assets: map[string][]byte{}}
	s.bin = filepath.Join(t.TempDir(), "bin")
	for _, name := range []string{"actions/provide.sh", "tools/source-digest.sh"} {
		data, err := os.ReadFile(filepath.Join("..", name))
		require.NoError(t, err)
		s.write(t, name, string(data), 0o755)
	}
	s.write(t, "go.mod", "module example.org/suite\n\ngo 1.24\n", 0o644)
	s.write(t, "go.sum", "", 0o644)
	s.write(t, "internal/word/word.go", "package word\n\nconst Word = \"source\"\n", 0o644)
	for _, name := range []string{"cmd/nosa", "actions/fetch"} {
		s.write(t, name+"/main.go", "package main\n\nimport \"example.org/suite/internal/word\"\n\nfunc main() { println(\"from \" + word.Word) }\n", 0o644)
	}
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := filepath.Base(r.URL.Path)
		s.mu.Lock()
		s.asked = append(s.asked, name)
		s.mu.Unlock()
		data, ok := s.assets[name]
		switch {
		case !ok:
			http.NotFound(w, r)
		case s.serve != nil:
			s.serve(w, r, data)
		default:
			_, _ = w.Write(data)
		}
	}))
	t.Cleanup(s.server.Close)
	s.machine(t, "x86_64")
	s.release(t)
	return s
}

func (s *shelf) write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(s.root, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), mode))
}

// machine makes a PATH with what every Debian and Ubuntu has, curl and Go, on a
// machine of an architecture.
func (s *shelf) machine(t *testing.T, arch string) {
	t.Helper()
	for _, name := range []string{
		"sh", "cat", "chmod", "cut", "dirname", "find", "go", "grep", "gzip", "mkdir", "mv", "rm", "sed", "sha256sum", "sort", "timeout", "tr", "xargs", "curl",
	} {
		path, err := exec.LookPath(name)
		require.NoError(t, err)
		_ = os.Remove(filepath.Join(s.tools, name))
		require.NoError(t, os.Symlink(path, filepath.Join(s.tools, name)))
	}
	require.NoError(t, os.WriteFile(filepath.Join(s.tools, "uname"), []byte("#!/bin/sh\necho "+arch+"\n"), 0o755))
}

// release makes the assets, scripts that tell that they were downloaded, and the
// list of them in the tree.
func (s *shelf) release(t *testing.T) {
	t.Helper()
	source, err := exec.Command(filepath.Join(s.root, "tools/source-digest.sh")).Output()
	require.NoError(t, err)
	list := "# comment\ntag v1.2.3\nurl https://no.such.host.invalid/v1.2.3\nsource " + string(source)
	for _, arch := range []string{"amd64", "arm64"} {
		for _, name := range []string{"nosa", "fetch"} {
			asset := name + "-linux-" + arch + ".gz"
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			fmt.Fprintf(z, "#!/bin/sh\necho from release %s %s >&2\n", name, arch)
			require.NoError(t, z.Close())
			s.assets[asset] = b.Bytes()
			list += fmt.Sprintf("%x  %s\n", sha256.Sum256(b.Bytes()), asset)
		}
	}
	s.write(t, "actions/binaries", list, 0o644)
}

// provide runs provide.sh and returns what it said and what the programs say.
func (s *shelf) provide(t *testing.T, env ...string) (log string, said []string, err error) {
	t.Helper()
	cmd := exec.Command(filepath.Join(s.root, "actions/provide.sh"), s.bin, "fetch", "nosa")
	cmd.Env = append([]string{"PATH=" + s.tools, "HOME=" + os.Getenv("HOME"), "GOCACHE=" + goEnv(t, "GOCACHE"), "NOSA_ACTIONS_URL=" + s.server.URL + "/v1.2.3"}, env...)
	out, err := cmd.CombinedOutput()
	for _, name := range []string{"fetch", "nosa"} {
		if text, err := exec.Command(filepath.Join(s.bin, name)).CombinedOutput(); err == nil {
			said = append(said, strings.TrimSpace(string(text)))
		}
	}
	half, globErr := filepath.Glob(filepath.Join(s.bin, "*.half"))
	require.NoError(t, globErr)
	require.Empty(t, half)
	return string(out), said, err
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

var (
	fromRelease = []string{"from release fetch amd64", "from release nosa amd64"}
	fromSource  = []string{"from source", "from source"}
)

func TestProgramsComeFromTheRelease(t *testing.T) {
	s := newShelf(t)
	require.NoError(t, os.Remove(filepath.Join(s.tools, "go")))

	log, said, err := s.provide(t)

	require.NoError(t, err, log)
	require.Equal(t, fromRelease, said)
	require.Equal(t, []string{"fetch-linux-amd64.gz", "nosa-linux-amd64.gz"}, s.asked)

	_, said, err = s.provide(t)
	require.NoError(t, err)
	require.Equal(t, fromRelease, said)
	require.Len(t, s.asked, 2, "they were here already")
}

func TestEachMachineGetsItsOwnPrograms(t *testing.T) {
	s := newShelf(t)
	s.machine(t, "aarch64")

	log, said, err := s.provide(t)

	require.NoError(t, err, log)
	require.Equal(t, []string{"from release fetch arm64", "from release nosa arm64"}, said)
	require.Equal(t, []string{"fetch-linux-arm64.gz", "nosa-linux-arm64.gz"}, s.asked)
}

// What cannot be had is built; the log says why, as a notice.
func TestProgramsAreBuiltWhenTheReleaseCannotBeHad(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*testing.T, *shelf)
		env    string
		says   string
	}{
		"not there": {
			func(_ *testing.T, s *shelf) { clear(s.assets) }, "", "error: 404",
		},
		"no network": {
			func(t *testing.T, s *shelf) { s.server.Close() }, "", "curl: (7)",
		},
		"no such host": {
			func(*testing.T, *shelf) {}, "NOSA_ACTIONS_URL=", "curl: (6)",
		},
		"cut short": {
			func(_ *testing.T, s *shelf) {
				s.serve = func(w http.ResponseWriter, r *http.Request, data []byte) {
					w.Header().Set("Content-Length", fmt.Sprint(len(data)))
					_, _ = w.Write(data[:len(data)/2])
				}
			}, "", "curl: (18)",
		},
		"slow": {
			func(_ *testing.T, s *shelf) {
				s.serve = func(w http.ResponseWriter, r *http.Request, data []byte) {
					_, _ = w.Write(data[:1])
					_ = http.NewResponseController(w).Flush()
					select {
					case <-r.Context().Done():
					case <-time.After(30 * time.Second):
					}
				}
			}, "NOSA_ACTIONS_TIMEOUT=1", "curl: (28)",
		},
		"no curl": {
			func(t *testing.T, s *shelf) { require.NoError(t, os.Remove(filepath.Join(s.tools, "curl"))) }, "", "curl: not found",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t)
			c.change(t, s)

			log, said, err := s.provide(t, c.env)

			require.NoError(t, err, log)
			require.Equal(t, fromSource, said)
			require.Contains(t, log, "::notice::The programs of release v1.2.3 cannot be downloaded, so they are built from source. fetch-linux-amd64.gz: ")
			require.Contains(t, log, c.says)
		})
	}
}

// Where the release does not belong to this source, nobody is asked.
func TestProgramsAreBuiltWhenTheReleaseIsAnother(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *shelf){
		"no release": func(t *testing.T, s *shelf) { require.NoError(t, os.Remove(filepath.Join(s.root, "actions/binaries"))) },
		"a changed source": func(t *testing.T, s *shelf) {
			s.write(t, "internal/word/more.go", "package word\n", 0o644)
		},
		"a changed module": func(t *testing.T, s *shelf) {
			s.write(t, "go.mod", "module example.org/suite\n\ngo 1.25\n", 0o644)
		},
		"another machine": func(t *testing.T, s *shelf) { s.machine(t, "riscv64") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t)
			change(t, s)

			log, said, err := s.provide(t)

			require.NoError(t, err, log)
			require.Equal(t, fromSource, said)
			require.Empty(t, s.asked)
		})
	}
}

// A module proxy that answers nothing must not hold the job until its end.
func TestACompilerThatStandsStillIsStopped(t *testing.T) {
	s := newShelf(t)
	require.NoError(t, os.Remove(filepath.Join(s.root, "actions/binaries")))
	require.NoError(t, os.Remove(filepath.Join(s.tools, "go")))
	sleep, err := exec.LookPath("sleep")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(s.tools, "go"), []byte("#!/bin/sh\nexec "+sleep+" 600\n"), 0o755))

	log, _, err := s.provide(t, "NOSA_ACTIONS_BUILD_TIMEOUT=1")

	require.Error(t, err)
	require.Contains(t, log, "::error::Go was not done with building these actions after 1 seconds; use a released version, or look at the module proxy (GOPROXY)\n")
}

func TestDocumentsAndTestsAreNoSource(t *testing.T) {
	s := newShelf(t)
	s.write(t, "internal/word/word_test.go", "package word\n", 0o644)
	s.write(t, "actions/fetch/testdata/script/x.txtar", "x\n", 0o644)
	s.write(t, "actions/fetch/action.yml", "name: x\n", 0o644)
	s.write(t, "README.md", "x\n", 0o644)

	_, said, err := s.provide(t)

	require.NoError(t, err)
	require.Equal(t, fromRelease, said)
}

// A wrong checksum is somebody's doing, and no reason to go on another way.
func TestProgramsWithAnotherChecksumAreRefused(t *testing.T) {
	s := newShelf(t)
	s.assets["nosa-linux-amd64.gz"] = s.assets["fetch-linux-amd64.gz"]

	log, said, err := s.provide(t)

	require.Error(t, err)
	require.Contains(t, log, "::error::"+s.server.URL+"/v1.2.3/nosa-linux-amd64.gz does not have the checksum that actions/binaries says")
	require.Equal(t, fromRelease[:1], said, "the other was right")
	require.NoFileExists(t, filepath.Join(s.bin, "nosa"))
}

func TestAProgramThatCannotBeUnpackedIsNotThere(t *testing.T) {
	s := newShelf(t)
	require.NoError(t, os.Remove(filepath.Join(s.tools, "gzip")))
	require.NoError(t, os.WriteFile(filepath.Join(s.tools, "gzip"), []byte("#!/bin/sh\necho '#!/bin/sh'\nexit 1\n"), 0o755))

	log, said, err := s.provide(t)

	require.Error(t, err)
	require.Contains(t, log, "::error::fetch-linux-amd64.gz was downloaded and cannot be unpacked into "+s.bin)
	require.Empty(t, said)
}

func TestWithoutGoAndReleaseTheMendIsSaid(t *testing.T) {
	s := newShelf(t)
	s.server.Close()
	require.NoError(t, os.Remove(filepath.Join(s.tools, "go")))

	log, _, err := s.provide(t)

	require.Error(t, err)
	require.Contains(t, log, "::error::Go is not installed on this runner")
	require.Contains(t, log, "add a step with actions/setup-go")
}
