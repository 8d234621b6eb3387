package live

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/nestos/nosa-actions/internal/tool"
)

// Patch is what a part of a finished ISO becomes; nothing else of it changes.
type Patch struct {
	Offset  int64 // in bytes
	Content []byte
}

// Custom is what can be put into a finished ISO.
type Custom struct {
	Ignition []byte // config; nil: none
	Kargs    string // more kernel arguments
	// NoElTorito makes the ISO no bootable CD any more, so that firmware starts
	// it as the disk that it is too.
	NoElTorito bool
}

// Patches says how an ISO that live made, or one of nestos-installer's form,
// is to be changed. The ISO itself is only read.
func Patches(ctx context.Context, r tool.Runner, iso string, c Custom) ([]Patch, error) {
	f, err := os.Open(iso)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := patcher{ctx: ctx, run: r, iso: iso, file: f}
	for _, add := range []func(Custom) error{p.ignition, p.kargs, p.elTorito} {
		if err := add(c); err != nil {
			return nil, fmt.Errorf("%s: %w", iso, err)
		}
	}
	return p.patches, nil
}

type patcher struct {
	ctx     context.Context
	run     tool.Runner
	iso     string
	file    *os.File
	patches []Patch
}

// ignition fills the area that nestos/igninfo.json names with an archive of the
// config.
func (p *patcher) ignition(c Custom) error {
	if c.Ignition == nil {
		return nil
	}
	var area struct {
		File           string
		Offset, Length int64 // within the file; no length: all of it
	}
	if err := p.describe("nestos/igninfo.json", &area); err != nil {
		return err
	}
	start, size, err := p.locate(area.File)
	if err != nil {
		return err
	}
	if area.Length != 0 {
		if !within(area.Offset, area.Length, size) {
			return fmt.Errorf("nestos/igninfo.json: %d bytes from byte %d on are not within %s", area.Length, area.Offset, area.File)
		}
		start, size = start+area.Offset, area.Length
	}
	size = min(size, maxArea)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	a := newArchive(z)
	if err := errors.Join(a.file("config.ign", string(c.Ignition)), a.Close(), z.Close()); err != nil {
		return err
	}
	if int64(packed.Len()) > size {
		return fmt.Errorf("the Ignition config takes %d bytes, and there is room for %d", packed.Len(), size)
	}
	p.patches = append(p.patches, Patch{start, append(packed.Bytes(), make([]byte, size-int64(packed.Len()))...)})
	return nil
}

// maxArea bounds what is written to one place, in bytes, whatever room there is
// said to be.
const maxArea = 16 << 20

// within tells whether a part lies in a file of so many bytes.
func within(offset, length, size int64) bool {
	return offset >= 0 && length >= 0 && length <= size && offset <= size-length
}

// kargs adds arguments in all boot menus.
func (p *patcher) kargs(c Custom) error {
	if c.Kargs == "" {
		return nil
	}
	var info kargsInfo
	if err := p.describe("nestos/kargs.json", &info); err != nil {
		return err
	}
	for _, f := range info.Files {
		start, size, err := p.locate(f.Path)
		if err != nil {
			return err
		}
		if len(f.Pad) != 1 || !within(int64(f.Offset), int64(info.Size), min(size, maxArea)) {
			return fmt.Errorf("nestos/kargs.json: %d bytes from byte %d on are not within %s, or there is no one byte to pad with", info.Size, f.Offset, f.Path)
		}
		text := info.Default + " " + c.Kargs + f.End
		if len(text) > info.Size {
			return fmt.Errorf("the kernel arguments take %d bytes, and there is room for %d", len(text), info.Size)
		}
		text += strings.Repeat(f.Pad, info.Size-len(text))
		p.patches = append(p.patches, Patch{start + int64(f.Offset), []byte(text)})
	}
	return nil
}

// The boot record is the second volume descriptor of an ISO; its identifier
// begins at byte 7 (El Torito 1.0, figure 7).
const (
	bootRecord   = 17 * 2048
	bootRecordID = "EL TORITO SPECIFICATION"
)

func (p *patcher) elTorito(c Custom) error {
	if !c.NoElTorito {
		return nil
	}
	found := make([]byte, len(bootRecordID))
	if _, err := p.file.ReadAt(found, bootRecord+7); err != nil || string(found) != bootRecordID {
		return errors.New("it has no El Torito boot record")
	}
	p.patches = append(p.patches, Patch{bootRecord + 7, bytes.Repeat([]byte("Z"), len(bootRecordID))})
	return nil
}

// maxDescription bounds what is read of a description, in bytes.
const maxDescription = 1 << 20

// describe reads one of the JSON files that say where things are.
func (p *patcher) describe(name string, into any) error {
	start, size, err := p.locate(name)
	if err != nil {
		return err
	}
	text := make([]byte, min(size, maxDescription))
	if _, err := p.file.ReadAt(text, start); err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

var extent = regexp.MustCompile(`File data lba: +0 , +(\d+) , +\d+ , +(\d+) ,`)

// locate finds where a file lies in the ISO and its size, in bytes.
func (p *patcher) locate(name string) (offset, size int64, err error) {
	out, err := p.run.Run(p.ctx, tool.Cmd{Name: "xorriso", Args: []string{"-abort_on", "FATAL", "-return_with", "FATAL", "0", "-indev", p.iso, "-find", "/" + name, "-exec", "report_lba", "--"}})
	if err != nil {
		return 0, 0, err
	}
	found := extent.FindSubmatch(out)
	if found == nil {
		return 0, 0, fmt.Errorf("it has no /%s; is it a live image of this system?", name)
	}
	block, err1 := strconv.ParseInt(string(found[1]), 10, 64)
	size, err2 := strconv.ParseInt(string(found[2]), 10, 64)
	return block * 2048, size, errors.Join(err1, err2)
}
