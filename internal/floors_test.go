// Package internal_test holds the import rules of docs/architecture.md against
// the code.
package internal_test

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/nestos/nosa-actions/"

// floors lists the packages below internal/ from the ground up; a package may
// import those of lower floors. On the floor of the line the order is that of
// the data: each may also import those before it.
var floors = []struct {
	name     string
	line     bool
	packages []string
}{
	{"ground", false, []string{"arch", "atomicfile", "diag", "progress", "retry", "sparsefile", "tool", "watchfs"}},
	{"formats", false, []string{"format"}},
	{"nouns", false, []string{"boottime", "compression", "gitinfo", "lock", "workdir"}},
	{"line", true, []string{
		"manifest", "imageconf", "rpmrepo", "configrepo", "rootfs", "ostree",
		"image", "image/disk", "image/fsck", "image/live", "image/oci", "image/inspect", "machine", "kola",
	}},
	{"stages", false, []string{"stage"}},
	{"suite", true, []string{"plan", "action", "assembler", "handoff", "report", "job", "pullrequest", "release"}},
}

// suite packages know GitHub and nothing of the line.
var suiteMayUse = []string{"arch", "atomicfile", "compression", "diag", "format", "progress", "retry", "sparsefile", "tool", "workdir", "plan", "action", "assembler", "handoff", "report", "job", "pullrequest", "release"}

// homes are the only importers of a package, so that what it brings stays in one
// place.
var homes = map[string][]string{
	"os/exec":                                              {"internal/tool"},
	"github.com/getkin/kin-openapi/openapi3":               {"internal/release/publish/githubtest"},
	"github.com/google/go-github/v60/github":               {"internal/release/publish", "internal/pullrequest"},
	"github.com/CycloneDX/cyclonedx-go":                    {"internal/release/sbom"},
	"github.com/spdx/tools-golang/json":                    {"internal/release/sbom"},
	"github.com/ProtonMail/go-crypto/openpgp":              {"internal/release"},
	"github.com/sethvargo/go-githubactions":                {"internal/action"},
	"gopkg.in/yaml.v3":                                     {"internal/format/document", "internal/kola", "tools/rpmpool/own"},
	"github.com/spf13/cobra":                               {"cmd/nosa"},
	"github.com/hanwen/go-fuse/v2/fuse":                    {"internal/watchfs"},
	"github.com/google/go-containerregistry/pkg/v1/remote": {"internal/image/oci"},
	"github.com/containers/buildah":                        {"internal/assembler/container/buildah/work"},
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func (p pkg) name() string { return strings.TrimPrefix(p.ImportPath, module) }

func load(t *testing.T) []pkg {
	cmd := exec.Command("go", "list", "-tags", "containers_image_openpgp", "-json=ImportPath,Imports", module+"...")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var all []pkg
	dec := json.NewDecoder(out)
	for {
		var p pkg
		err := dec.Decode(&p)
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		all = append(all, p)
	}
	require.NoError(t, cmd.Wait())
	require.NotEmpty(t, all)
	return all
}

// place finds the floor of a package and its place on it; ok is false for one
// that is on none.
func place(name string) (floor, at int, ok bool) {
	inner, isInternal := strings.CutPrefix(name, "internal/")
	if !isInternal {
		return 0, 0, false
	}
	best := ""
	for f, level := range floors {
		for i, p := range level.packages {
			if (inner == p || strings.HasPrefix(inner, p+"/")) && len(p) > len(best) {
				best, floor, at, ok = p, f, i, true
			}
		}
	}
	return floor, at, ok
}

func TestImportsNeverPointUpwards(t *testing.T) {
	for _, p := range load(t) {
		name := p.name()
		floor, at, ok := place(name)
		if !ok {
			continue
		}
		for _, imported := range p.Imports {
			target := strings.TrimPrefix(imported, module)
			tFloor, tAt, tOK := place(target)
			if !tOK || strings.HasPrefix(target+"/", name+"/") {
				continue
			}
			switch {
			case tFloor < floor:
			case tFloor > floor:
				t.Errorf("%s imports %s, which is on a higher floor (%s)", name, target, floors[tFloor].name)
			case floors[floor].line && tAt > at:
				t.Errorf("%s imports %s, which comes later on the floor %s", name, target, floors[floor].name)
			case floors[floor].name == "stages":
				t.Errorf("%s imports %s: a stage never uses another", name, target)
			}
		}
	}
}

func TestEveryInternalPackageHasAFloor(t *testing.T) {
	for _, p := range load(t) {
		name := p.name()
		if !strings.HasPrefix(name, "internal/") || strings.Contains(name, "testkit") || strings.HasSuffix(name, "test") {
			continue
		}
		if _, _, ok := place(name); !ok {
			t.Errorf("%s is on no floor; add it to the table", name)
		}
	}
}

func TestSuiteKnowsNothingOfTheLine(t *testing.T) {
	for _, p := range load(t) {
		name := p.name()
		isAction := strings.HasPrefix(name, "actions/")
		if strings.HasSuffix(name, "test") {
			continue
		}
		if floor, _, ok := place(name); !isAction && (!ok || floors[floor].name != "suite") {
			continue
		}
		for _, imported := range p.Imports {
			target, ours := strings.CutPrefix(imported, module+"internal/")
			if !ours {
				continue
			}
			top, _, _ := strings.Cut(target, "/")
			if !slices.Contains(suiteMayUse, top) {
				t.Errorf("%s imports %s; the suite may use only the work directory's formats and the ground", name, target)
			}
		}
	}
}

func TestLibrariesStayInTheirHomes(t *testing.T) {
	for _, p := range load(t) {
		for _, imported := range p.Imports {
			if home, guarded := homes[imported]; guarded && !slices.Contains(home, p.name()) {
				t.Errorf("%s imports %s, whose home is %s", p.name(), imported, strings.Join(home, ", "))
			}
		}
	}
}
