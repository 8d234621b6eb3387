package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/release/publish/githubtest"
	"github.com/nestos/nosa-actions/internal/testkit/actiontest"
	"github.com/nestos/nosa-actions/internal/workdir"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"release": main, "nosa": actiontest.Nosa})
}

// server is the key of each script's own GitHub.
type server struct{}

func TestScripts(t *testing.T) {
	actiontest.Scripts(t, func(p *testscript.Params) {
		setup := p.Setup
		p.Setup = func(env *testscript.Env) error {
			tb, ok := env.T().(testing.TB)
			if !ok {
				return fmt.Errorf("not a test")
			}
			s := githubtest.New(tb, githubtest.Options{Tags: []string{"v1.0", "v1.1-rc1", "v1.1-rc2", "v1.1"}})
			env.Values[server{}] = s
			if err := setup(env); err != nil {
				return err
			}
			for name, value := range map[string]string{
				"GITHUB_API_URL": s.URL, "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "nestos/demo",
				"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v1.0", "NOSA_INPUT_TOKEN": githubtest.Token,
			} {
				env.Setenv(name, value)
			}
			return nil
		}
		p.Cmds["build"], p.Cmds["releases"], p.Cmds["asset"] = build, releases, asset
		p.Cmds["signingkey"], p.Cmds["nowhere"] = signingKey, nowhere
	})
}

func TestInputsAgreeWithActionYML(t *testing.T) {
	actiontest.InputsAgree(t, func(s *action.Step) error { return run(t.Context(), s) })
}

// build is the script command "build DIR ARCH ID PACKAGE...": a build with images
// in a work directory, made through workdir as stages do it.
func build(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: build DIR ARCH ID PACKAGE...")
	}
	id := args[2]
	a, err := arch.Parse(args[1])
	ts.Check(err)
	ts.Check(os.MkdirAll(ts.MkAbs(args[0]), 0o755))
	d, err := workdir.Create(ts.MkAbs(args[0]), a)
	ts.Check(err)
	tmp, err := d.BeginBuild(a.RPM)
	ts.Check(err)
	m := &workdir.Meta{
		BuildID: id, Name: "mini", OSTreeVersion: id, OSTreeTimestamp: "2025-01-14T08:00:00Z", Basearch: a.RPM, Ref: "mini/" + a.RPM + "/stable",
		OSTreeCommit: strings.Repeat("6d", 32), OSTreeContentChecksum: strings.Repeat("a1", 32), InputHash: strings.Repeat("77", 32),
		DelayedMetaMerge: new(true),
	}
	packages := [][5]string{}
	for _, p := range args[3:] {
		name, v, _ := strings.Cut(p, "=")
		packages = append(packages, [5]string{name, "0", v, "1", a.RPM})
	}
	ts.Check(workdir.WriteCommitMeta(tmp, map[string]any{"rpmostree.rpmdb.pkglist": packages}))
	image(ts, tmp, m, "ostree")
	if ts.Getenv("OCI_MANIFEST") != "" {
		image(ts, tmp, m, "oci-manifest")
	}
	ts.Check(workdir.WriteMeta(tmp, m))
	b, err := d.Publish(tmp, id)
	ts.Check(err)
	own, err := b.ArtifactMeta("qemu")
	ts.Check(err)
	image(ts, b.Dir, own, "qemu")
	ts.Check(b.Merge("qemu", own))
}

func image(ts *testscript.TestScript, dir string, m *workdir.Meta, name string) {
	kind, err := workdir.FindImageKind(name)
	ts.Check(err)
	path := filepath.Join(dir, kind.FileName(m.Name, m.BuildID, m.Basearch))
	ts.Check(os.WriteFile(path, []byte(strings.Repeat(name+" of "+m.BuildID+" for "+m.Basearch+"\n", 1000)), 0o644))
	described, err := workdir.DescribeImage(path)
	ts.Check(err)
	m.SetImage(name, described)
}

// releases is the script command "releases FILE": what there is on GitHub, one
// line for each release and each asset.
func releases(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: releases FILE")
	}
	var out strings.Builder
	for _, r := range ts.Value(server{}).(*githubtest.Server).Releases() {
		fmt.Fprintf(&out, "%s draft=%t prerelease=%t latest=%t\n", r.Tag, r.Draft, r.Prerelease, r.Latest)
		slices.SortFunc(r.Assets, func(a, b githubtest.Asset) int { return strings.Compare(a.Name, b.Name) })
		for _, a := range r.Assets {
			fmt.Fprintf(&out, "  %s %s\n", a.Name, a.ContentType)
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(out.String()), 0o644))
}

// asset is the script command "asset TAG NAME FILE": it downloads one; the name
// "notes" is the release's text.
func asset(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: asset TAG NAME FILE")
	}
	for _, r := range ts.Value(server{}).(*githubtest.Server).Releases() {
		if r.Tag == args[0] && args[1] == "notes" {
			ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(r.Body), 0o644))
			return
		}
		for _, a := range r.Assets {
			if r.Tag == args[0] && a.Name == args[1] {
				ts.Check(os.WriteFile(ts.MkAbs(args[2]), a.Content, 0o644))
				return
			}
		}
	}
	ts.Fatalf("release %s has no asset %s", args[0], args[1])
}
