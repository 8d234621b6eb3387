// Package inspect looks into finished images without booting or mounting them:
// what is on the disk, what it would boot, whether its first boot is still to
// come, and whether all of it fits together and fits the build that it is from.
// It reads from qcow2, raw and ISO files itself, so that it needs neither root
// nor a loop device; only the package database is read by rpm, out of a copy.
//
// Images may be foreign and broken in every way: what cannot be read is told as
// a defect, and the rest is looked at all the same.
package inspect

import (
	"context"
	"fmt"
	"os"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/imageconf"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Records are what a build knows of an image. What is empty is not compared.
type Records struct {
	Build       string // id
	Name        string // of the build, which is the stateroot
	Commit      string
	Ref         string
	Platform    string // ignition.platform.id
	Arch        string // rpm name
	FileName    string // that the image was made under
	ImageConfig string // sha256 of the image.json that the commit was made with
	Platforms   imageconf.Platforms
}

// Options say what is looked at.
type Options struct {
	Path    string
	Records Records
	Scratch string // for the copy of the package database; made and removed
}

// Report is what was found: facts and defects.
type Report struct {
	Image
	Defects []diag.Finding `json:"-"`
}

// Run looks into an image. What is wrong with the image is in the report; an
// error means that the file could not be looked into.
func Run(ctx context.Context, r tool.Runner, o Options) (*Report, error) {
	f, err := os.Open(o.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	disk, err := openSource(f)
	if err != nil {
		return nil, err
	}
	i := &inspector{ctx: ctx, run: r, o: o, want: o.Records, disk: disk}
	i.img.Format, i.img.Size = disk.format, disk.size
	switch disk.format {
	case ISO:
		i.iso()
	default:
		i.container()
		i.wholeDisk()
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return &Report{Image: i.img, Defects: i.found.Findings}, nil
}

// inspector gathers facts and defects.
type inspector struct {
	ctx   context.Context
	run   tool.Runner
	o     Options
	want  Records
	disk  *source
	img   Image
	found diag.List

	config *imageconf.Config // of the image itself; nil: unknown
	parts  map[int]*section  // by number
	walked int               // directories that were compared
}

// maxWalked bounds the directories that are compared. Those of a damaged file
// system may lead back into themselves.
const maxWalked = 1 << 17

// mayWalk tells whether one more directory may be compared.
func (i *inspector) mayWalk() bool {
	if i.walked++; i.walked == maxWalked+1 {
		i.bad("deployment", "has more than %d directories; the rest was not looked at", maxWalked)
	}
	return i.walked <= maxWalked && i.ctx.Err() == nil
}

// bad notes a defect of a place in the image.
func (i *inspector) bad(where, format string, args ...any) {
	i.found.Add(diag.Finding{Pos: diag.Pos{File: clean(where)}, Message: clean(fmt.Sprintf(format, args...))})
}

// badLine notes a defect of a line of a file in the image.
func (i *inspector) badLine(where string, line int, format string, args ...any) {
	i.found.Add(diag.Finding{Pos: diag.Pos{File: clean(where), Line: line}, Message: clean(fmt.Sprintf(format, args...))})
}

// odd notes what is probably not meant.
func (i *inspector) odd(where, format string, args ...any) {
	i.found.Warnf(diag.Pos{File: clean(where)}, "%s", clean(fmt.Sprintf(format, args...)))
}

// container judges the file that holds the disk.
func (i *inspector) container() {
	h := i.disk.header
	if h == nil {
		return
	}
	if h.Corrupt {
		i.bad("qcow2", "the image is marked as corrupt")
	}
	if h.Dirty {
		i.bad("qcow2", "the image was not closed properly")
	}
	if h.Snapshots > 0 {
		i.bad("qcow2", "the image has %d internal snapshots", h.Snapshots)
	}
}
