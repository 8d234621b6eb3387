package test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/nestos/nosa-actions/internal/kola"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// LiveOptions choose what is tested of a live system.
type LiveOptions struct {
	Options
	PXEKargs        string // more arguments for the kernel that comes by the network
	PXEAppendRootfs bool   // the root comes as an initrd
}

// RunLive starts the live system of a build in every way, and installs from it.
func RunLive(ctx context.Context, r tool.Runner, log *progress.Log, dir *workdir.Dir, o LiveOptions) (Result, error) {
	if o.Platform == "" {
		o.Platform = "qemu-iso"
	}
	o.Options = o.defaults()
	live, target, err := o.live(dir)
	if err != nil {
		return Result{}, err
	}
	chosen, notes, err := o.scenarios(dir, live)
	if err != nil {
		return Result{}, err
	}
	for _, note := range notes {
		log.Notef("%s", note)
	}
	out, err := o.outputDir(dir)
	if err != nil {
		return Result{}, err
	}
	if o.OutputDir == "" {
		out += "-testiso"
	}
	if err := kola.PrepareOutput(out); err != nil {
		return Result{}, err
	}
	live.Runner, live.Log, live.Terminal, live.OutputDir = r, log, o.Terminal, out
	live.MemoryMiB, live.ExtendPercent = o.MemoryMiB, o.ExtendPercent
	live.MoreKargs, live.AppendRootfs = o.PXEKargs, o.PXEAppendRootfs
	report, err := live.Run(ctx, chosen)
	if err != nil {
		return Result{}, err
	}
	result := Result{Report: report, OutputDir: out, Notes: notes}
	return result, o.save(result, target)
}

// live finds the artifacts.
func (o LiveOptions) live(dir *workdir.Dir) (kola.Live, target, error) {
	if o.ISO != "" {
		t, err := o.target(dir)
		return kola.Live{Arch: t.arch, ISO: o.ISO, Commit: t.commit}, t, err
	}
	if dir == nil {
		return kola.Live{}, target{}, errors.New("neither a work directory nor an ISO to test")
	}
	build, err := dir.Build(o.Build)
	if err != nil {
		return kola.Live{}, target{}, err
	}
	meta, err := build.View()
	if err != nil {
		return kola.Live{}, target{}, err
	}
	live := kola.Live{Arch: dir.Arch, Commit: meta.OSTreeCommit}
	if _, live.ISO, err = build.Image("live-iso"); errors.Is(err, fs.ErrNotExist) {
		return live, target{}, fmt.Errorf("%w; run nosa buildextend-live first", err)
	} else if err != nil {
		return live, target{}, err
	}
	for artifact, path := range map[string]*string{"live-kernel": &live.Kernel, "live-initramfs": &live.Initramfs, "live-rootfs": &live.Rootfs} {
		if _, found, err := build.Image(artifact); err == nil {
			*path = found
		}
	}
	_, _, err = build.Image("metal4k")
	live.Has4K = err == nil
	return live, target{arch: dir.Arch, iso: live.ISO, build: build.ID, commit: meta.OSTreeCommit}, nil
}

// scenarios are those that the patterns and the denylist leave.
func (o LiveOptions) scenarios(dir *workdir.Dir, live kola.Live) ([]kola.Scenario, []string, error) {
	var cases []kola.Case
	byName := map[string]kola.Scenario{}
	for _, s := range live.Scenarios() {
		cases = append(cases, kola.Case{Name: s.Name})
		byName[s.Name] = s
	}
	filter := kola.Filter{
		Patterns: o.Patterns, Deny: o.Deny, Distro: o.Distro,
		At: kola.Situation{Platform: o.Platform, Arch: live.Arch.RPM, Now: time.Now()},
	}
	if dir != nil {
		var err error
		if filter.At.Stream, filter.At.OSVersion, err = stream(dir); err != nil {
			return nil, nil, err
		}
		if filter.Denylist, err = kola.LoadDenylist(filepath.Join(dir.Config(), "kola-denylist.yaml")); err != nil {
			return nil, nil, err
		}
	}
	selection, err := filter.Select(cases)
	if err != nil {
		return nil, nil, err
	}
	var out []kola.Scenario
	for _, t := range selection.Tests {
		out = append(out, byName[t.Name])
	}
	return out, selection.Notes, nil
}
