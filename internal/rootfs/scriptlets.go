package rootfs

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// ScriptOptions say how the scripts of packages run. The zero value is useful.
type ScriptOptions struct {
	Live    io.Writer // receives what scripts say, each line behind the script's name
	Scratch string    // directory for temporary files; empty: the system's
	Langs   []string  // value of the macro _install_langs; nil: all
}

// Scriptlets runs what packages want run at their installation, as rpm does when
// it installs all of them at once into an empty root:
//
//   - sysusers, then each package's %triggerprein and %pre;
//   - the owners of files, whose users exist now;
//   - for each package the %filetriggerin that its files set off and its %post,
//     then the %triggerin it sets off, then the file triggers of a priority
//     below 10000;
//   - all %posttrans, then all %transfiletriggerin.
//
// Packages come in the order in which rpm installed them. Scripts for removal and
// %pretrans, which mend older versions, are not run. Files of overlays set off file
// triggers too. A script that fails is an error that names it. The result is the
// number of scripts that ran.
func (t *Tree) Scriptlets(ctx context.Context, o ScriptOptions) (ran int, err error) {
	r := &scriptRun{tree: t, ScriptOptions: o}
	if r.dir, err = os.MkdirTemp(o.Scratch, "scripts-"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(r.dir)
	if r.packages, err = t.scripted(ctx); err != nil {
		return 0, fmt.Errorf("read the scripts of packages: %w", err)
	}
	couldRun := t.runsTrue()
	for _, step := range []func(context.Context) error{
		r.systemUsers, r.before, t.FixOwners, r.after, r.afterAll,
	} {
		if err := step(ctx); err != nil {
			return r.ran, err
		}
	}
	if couldRun {
		if err := t.run(ctx, sandbox{}, "/usr/bin/true"); err != nil {
			return r.ran, fmt.Errorf("programs no longer run in the tree after the scripts of packages: %w", err)
		}
	}
	return r.ran, nil
}

// runsTrue tells whether the tree has a true(1) to try.
func (t *Tree) runsTrue() bool {
	_, err := os.Stat(filepath.Join(t.Root, "usr/bin/true"))
	return err == nil
}

// scriptRun is the state of one pass over the scripts of all packages.
type scriptRun struct {
	ScriptOptions
	tree     *Tree
	dir      string // temporary files of this pass
	packages []scripted
	ran      int
}

// systemUsers makes the users and groups that packages declare, where the tree
// has systemd.
func (r *scriptRun) systemUsers(ctx context.Context) error {
	const program = "/usr/bin/systemd-sysusers"
	if _, err := os.Lstat(filepath.Join(r.tree.Root, program)); err != nil {
		return nil //nolint:nilerr // the tree does not have it
	}
	if err := r.tree.run(ctx, sandbox{live: r.Live}, program); err != nil {
		return fmt.Errorf("make the system users: %w", err)
	}
	return nil
}

func (r *scriptRun) before(ctx context.Context) error {
	for i, p := range r.packages {
		due := append(setOff(r.packages, i, kindTriggerPrein), p.scripts[kindPrein]...)
		if err := r.scripts(ctx, due); err != nil {
			return err
		}
	}
	return nil
}

func (r *scriptRun) after(ctx context.Context) error {
	files, err := r.files(ctx, kindFileTriggerin)
	if err != nil {
		return err
	}
	for i, p := range r.packages {
		due := fileTriggersOf(r.packages, files, i, true)
		due = append(due, p.scripts[kindPost]...)
		due = append(due, setOff(r.packages, i, kindTriggerin)...)
		due = append(due, fileTriggersOf(r.packages, files, i, false)...)
		if err := r.scripts(ctx, due); err != nil {
			return err
		}
	}
	for _, p := range r.packages {
		if err := r.scripts(ctx, p.scripts[kindPosttrans]); err != nil {
			return err
		}
	}
	return nil
}

func (r *scriptRun) afterAll(ctx context.Context) error {
	files, err := r.files(ctx, kindTransFileTriggerin) // %posttrans may have made some
	if err != nil {
		return err
	}
	all := files.all(r.packages)
	for _, p := range r.packages {
		if err := r.scripts(ctx, matched(p.triggers[kindTransFileTriggerin], all)); err != nil {
			return err
		}
	}
	return nil
}

// scripts runs scripts one after the other, but those that are ignored.
func (r *scriptRun) scripts(ctx context.Context, due []script) error {
	for _, s := range due {
		if _, ignored := ignoredScripts[s.name()]; ignored {
			continue
		}
		if err := r.script(ctx, s); err != nil {
			return fmt.Errorf("script %s of package %s: %w", s.percent(), s.pkg, err)
		}
		r.ran++
	}
	return nil
}
