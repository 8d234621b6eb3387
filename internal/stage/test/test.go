// Package test boots the image of a build and runs tests on it: the built-in
// ones, and those that come with the config.
package test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/atomicfile"
	"github.com/nestos/nosa-actions/internal/kola"
	"github.com/nestos/nosa-actions/internal/machine"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// Options choose the image, the tests, and how they run. The zero value runs
// all tests on the newest build's qemu image.
type Options struct {
	Build    string   // id; empty: the newest
	Image    string   // disk image to test instead of a build's
	Platform string   // default: qemu
	Distro   string   // default: nestos
	Patterns []string // globs on names
	Tags     []string // "T" or "!T"
	Deny     []string // globs on names that do not run
	ExtTests []string // directories with tests/kola, besides the config's
	NoNet    bool     // no test that needs the internet

	OutputDir     string // default: tmp/kola of the work directory
	TAPFile       string // receives a copy of test.tap
	Parallel      int
	ExtendPercent int
	AppendConfigs []string // Ignition (.ign) or Butane (.bu) files
	Firmware      machine.Firmware
	MemoryMiB     int
	DiskGiB       int
	Terminal      io.Writer // receives the verdicts; nil: nobody

	Shard     kola.Shard
	Multiply  int      // run each test so many times
	Anywhere  bool     // tests for any platform run on others than qemu too
	Rerun     bool     // failed tests run once more
	RerunTags []string // whose success then counts; "all": any
	OnFailure func(ctx context.Context, test string, s *machine.SSH)

	ISO        string // live image to test instead, on the platform qemu-iso
	ISOAsDisk  bool
	Primary    machine.Disk // how the disk is attached
	Binds      []machine.Bind
	DebugUnits []string // units that log more
	TPM        machine.TPM
}

// Result is what came of a run.
type Result struct {
	Report    kola.Report
	OutputDir string
	Notes     []string // what the denylist did
}

// defaults fills in what was not chosen.
func (o Options) defaults() Options {
	switch {
	case o.Platform == "" && o.ISO == "", o.Platform == "qemu-unpriv":
		o.Platform = "qemu"
	case o.Platform == "", o.Platform == "iso":
		o.Platform = "qemu-iso"
	}
	if o.Distro == "" {
		o.Distro = "nestos"
	}
	if o.Terminal == nil {
		o.Terminal = io.Discard
	}
	return o
}

// Run selects and runs tests. Tests that fail are in the result; an error means
// that testing was not possible. dir may be nil if an image is given.
func Run(ctx context.Context, r tool.Runner, log *progress.Log, dir *workdir.Dir, o Options) (Result, error) {
	o = o.defaults()
	if o.Platform != "qemu" && o.Platform != "qemu-iso" {
		return Result{}, fmt.Errorf("platform %q cannot be tested; possible are qemu and qemu-iso", o.Platform)
	}
	target, err := o.target(dir)
	if err != nil {
		return Result{}, err
	}
	selection, err := List(dir, o)
	if err != nil {
		return Result{}, err
	}
	for _, note := range selection.Notes {
		log.Notef("%s", note)
	}
	appended, err := readConfigs(o.AppendConfigs)
	if err != nil {
		return Result{}, err
	}
	out, err := o.outputDir(dir)
	if err != nil {
		return Result{}, err
	}
	allowed, err := budgets(dir)
	if err != nil {
		return Result{}, err
	}
	if err := kola.PrepareOutput(out); err != nil {
		return Result{}, err
	}
	first, err := o.inspection(ctx, r, log, dir, target, &selection)
	if err != nil {
		return Result{}, err
	}
	report, err := kola.Run(ctx, r, log, kola.Options{
		Tests: selection.Tests, LenientConsole: selection.LenientConsole,
		Arch: target.arch, Image: target.image, Firmware: o.Firmware, MemoryMiB: o.MemoryMiB, DiskGiB: o.DiskGiB,
		ISO: target.iso, ISOAsDisk: o.ISOAsDisk, Archive: target.archive,
		Guest:  machine.Options{Primary: o.Primary, Binds: o.Binds, DebugUnits: o.DebugUnits, TPM: o.TPM},
		Expect: kola.Expect{Commit: target.commit, Platform: o.Platform},
		Rerun:  o.Rerun, RerunTags: o.RerunTags, OnFailure: o.OnFailure,
		Offline: o.NoNet, Append: appended, OutputDir: out,
		Parallel: o.Parallel, ExtendPercent: o.ExtendPercent, Terminal: o.Terminal,
	})
	if err != nil {
		return Result{}, err
	}
	found, err := measure(dir, target, out)
	if err != nil {
		return Result{}, err
	}
	last := gates(allowed, found)
	for _, res := range last {
		kola.Announce(o.Terminal, res)
	}
	report.Add(first, last)
	result := Result{Report: report, OutputDir: out, Notes: selection.Notes}
	return result, errors.Join(o.save(result, target), o.writePage(dir, target, found, result))
}

// save writes the records of the run.
func (o Options) save(result Result, target target) error {
	err := result.Report.Save(result.OutputDir)
	if o.TAPFile != "" {
		err = errors.Join(err, atomicfile.Write(o.TAPFile, result.Report.TAP(), 0o644))
	}
	return errors.Join(err, target.record(o).save(filepath.Join(result.OutputDir, "properties.json")))
}

// target is what is tested.
type target struct {
	arch    arch.Arch
	image   string // empty if a live image is tested
	iso     string
	build   string // id; empty for a bare image
	commit  string
	archive string // the build's OCI archive; may be empty
}

// target finds the image and what is expected of it. An image of one's own is
// held to a build only if that is named as well.
func (o Options) target(dir *workdir.Dir) (target, error) {
	if o.Image != "" && o.ISO != "" {
		return target{}, errors.New("a disk image and a live image to test exclude each other")
	}
	if own := o.Image + o.ISO; own != "" {
		if _, err := os.Stat(own); err != nil {
			return target{}, err
		}
		if dir == nil {
			host, err := arch.Host()
			return target{arch: host, image: o.Image, iso: o.ISO}, err
		}
		if o.Build == "" {
			return target{arch: dir.Arch, image: o.Image, iso: o.ISO}, nil
		}
	}
	if dir == nil {
		return target{}, errors.New("neither a work directory nor an image to test")
	}
	build, err := dir.Build(o.Build)
	if err != nil {
		return target{}, err
	}
	meta, err := build.Meta()
	if err != nil {
		return target{}, err
	}
	found := target{arch: dir.Arch, image: o.Image, iso: o.ISO, build: build.ID, commit: meta.OSTreeCommit}
	if _, archive, err := build.Image("ostree"); err == nil {
		found.archive = archive
	}
	if o.Image != "" || o.ISO != "" {
		return found, nil
	}
	artifact, command, path := "qemu", "buildextend-qemu", &found.image
	switch {
	case o.Platform == "qemu-iso":
		artifact, command, path = "live-iso", "buildextend-live", &found.iso
	case o.Primary.Sector4K:
		artifact, command = "metal4k", "buildextend-metal4k"
	}
	_, *path, err = build.Image(artifact)
	if errors.Is(err, fs.ErrNotExist) {
		return target{}, fmt.Errorf("%w; run nosa %s first", err, command)
	}
	return found, err
}

func readConfigs(paths []string) ([]machine.Config, error) {
	var out []machine.Config
	for _, path := range paths {
		config, _, err := kola.ReadConfig(path)
		if err != nil {
			return nil, err
		}
		out = append(out, config)
	}
	return out, nil
}

// outputDir is where the logs go; the variable ARTIFACT_DIR stands in for the
// work directory's tmp.
func (o Options) outputDir(dir *workdir.Dir) (string, error) {
	base := os.Getenv("ARTIFACT_DIR")
	switch {
	case o.OutputDir != "":
		return filepath.Abs(o.OutputDir)
	case base != "":
		return filepath.Abs(filepath.Join(base, "kola"))
	case dir != nil:
		return filepath.Join(dir.Tmp(), "kola"), nil
	default:
		return filepath.Abs("_kola_temp")
	}
}
