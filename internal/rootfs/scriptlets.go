package rootfs

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ignoredScriptlets are not run, as rpm-ostree does not run them: their work is
// done by the compose itself (kernel, initramfs, passwd) or makes no sense in a
// tree that does not run.
var ignoredScriptlets = map[string]bool{
	"glibc.prein": true, "filesystem.posttrans": true, "setup.post": true, "bash.post": true,
	"nfs-utils.post": true, "microcode_ctl.post": true, "microcode_ctl.posttrans": true,
	"kernel.posttrans": true, "kernel-core.posttrans": true, "kernel-modules.posttrans": true,
	"kernel-rt-core.posttrans": true, "fedora-release.posttrans": true, "rootfiles.posttrans": true,
	"coreutils.post": true, "glibc-all-langpacks.posttrans": true, "pam.post": true,
}

// scriptlet is one script of one package.
type scriptlet struct {
	pkg, phase string
	argv       []string // the interpreter
	body       string
}

func (s scriptlet) name() string { return s.pkg + "." + s.phase }

// Scriptlets runs what packages want run at their installation: sysusers, all
// %pre, the owners of files, all %post, all %posttrans, each in the order in
// which rpm installed the packages. A script that fails is an error that names
// it. What they say goes to live.
func (t *Tree) Scriptlets(ctx context.Context, live io.Writer, scratch string) (ran int, err error) {
	if err := t.sysusers(ctx, live); err != nil {
		return 0, err
	}
	phases := []string{"prein", "post", "posttrans"}
	byPhase, err := t.scriptlets(ctx)
	if err != nil {
		return 0, fmt.Errorf("read scriptlets: %w", err)
	}
	for _, phase := range phases {
		for _, s := range byPhase[phase] {
			if ignoredScriptlets[s.name()] {
				continue
			}
			if err := t.runScriptlet(ctx, s, live, scratch); err != nil {
				return ran, fmt.Errorf("scriptlet %%%s of package %s: %w", phase, s.pkg, err)
			}
			ran++
		}
		if phase == "prein" { // users that %pre has made can own files now
			if err := t.FixOwners(ctx); err != nil {
				return ran, err
			}
		}
	}
	return ran, nil
}

// sysusers makes the users and groups that packages declare, where the tree has
// systemd.
func (t *Tree) sysusers(ctx context.Context, live io.Writer) error {
	if _, err := os.Lstat(filepath.Join(t.Root, "usr/bin/systemd-sysusers")); err != nil {
		return nil
	}
	if err := t.run(ctx, sandbox{live: live}, "/usr/bin/systemd-sysusers"); err != nil {
		return fmt.Errorf("make the system users: %w", err)
	}
	return nil
}

func (t *Tree) runScriptlet(ctx context.Context, s scriptlet, live io.Writer, scratch string) error {
	if s.argv[0] == "<lua>" {
		return fmt.Errorf("it is written in Lua, which runs inside rpm only")
	}
	file := filepath.Join(scratch, s.name())
	if err := os.WriteFile(file, []byte(s.body), 0o700); err != nil {
		return err
	}
	defer os.Remove(file)
	argv := slices.Clone(s.argv)
	if s.body != "" {
		argv = append(argv, scriptPath)
	}
	argv = append(argv, "1") // one instance of the package after installation
	return t.run(ctx, sandbox{script: file, live: live}, argv...)
}

// rpm's :xml form is the one that survives every byte a script may hold.
const scriptletFormat = `<package instance="%{DBINSTANCE}"><name>%{NAME:xml}</name>` +
	`<prein>%|PREINPROG?{[<prog>%{PREINPROG:xml}</prog>]%|PREIN?{<body>%{PREIN:xml}</body>}|}|</prein>` +
	`<post>%|POSTINPROG?{[<prog>%{POSTINPROG:xml}</prog>]%|POSTIN?{<body>%{POSTIN:xml}</body>}|}|</post>` +
	`<posttrans>%|POSTTRANSPROG?{[<prog>%{POSTTRANSPROG:xml}</prog>]%|POSTTRANS?{<body>%{POSTTRANS:xml}</body>}|}|</posttrans>` +
	`</package>\n`

type xmlString struct {
	Text string `xml:"string"`
}

type xmlScript struct {
	Prog []xmlString `xml:"prog"`
	Body xmlString   `xml:"body"`
}

type xmlPackage struct {
	Instance  int       `xml:"instance,attr"`
	Name      xmlString `xml:"name"`
	Prein     xmlScript `xml:"prein"`
	Post      xmlScript `xml:"post"`
	Posttrans xmlScript `xml:"posttrans"`
}

// scriptlets reads all scripts by phase, in order of installation: rpm numbers
// the packages of its database as it installs them.
func (t *Tree) scriptlets(ctx context.Context) (map[string][]scriptlet, error) {
	out, err := t.query(ctx, scriptletFormat)
	if err != nil {
		return nil, err
	}
	return parseScriptlets(out)
}

func parseScriptlets(text string) (map[string][]scriptlet, error) {
	var all struct {
		Packages []xmlPackage `xml:"package"`
	}
	if err := xml.Unmarshal([]byte("<all>"+text+"</all>"), &all); err != nil {
		return nil, err
	}
	slices.SortFunc(all.Packages, func(a, b xmlPackage) int { return a.Instance - b.Instance })
	byPhase := map[string][]scriptlet{}
	for _, p := range all.Packages {
		for phase, s := range map[string]xmlScript{"prein": p.Prein, "post": p.Post, "posttrans": p.Posttrans} {
			if len(s.Prog) == 0 {
				continue
			}
			one := scriptlet{pkg: p.Name.Text, phase: phase, body: s.Body.Text}
			for _, word := range s.Prog {
				one.argv = append(one.argv, strings.TrimSpace(word.Text))
			}
			byPhase[phase] = append(byPhase[phase], one)
		}
	}
	return byPhase, nil
}
