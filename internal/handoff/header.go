package handoff

import (
	"archive/tar"
	"fmt"
	"strings"
	"time"
)

// xattrRecord is the prefix of pax records with extended attributes, as star
// introduced and GNU tar reads them.
const xattrRecord = "SCHILY.xattr."

// header is the tar header of a member that is not sparse.
func (e Entry) header() *tar.Header {
	h := &tar.Header{
		Name: string(e.Path), Linkname: string(e.Link), Mode: e.Mode,
		Uid: e.UID, Gid: e.GID, ModTime: time.Unix(0, e.MTime),
		Size: e.Size, Format: tar.FormatPAX,
	}
	switch e.Type {
	case Dir:
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
	case Symlink:
		h.Typeflag = tar.TypeSymlink
	case HardLink:
		h.Typeflag = tar.TypeLink
	default:
		h.Typeflag = tar.TypeReg
	}
	for name, value := range e.Xattrs {
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords[xattrRecord+name] = string(value)
	}
	return h
}

// entryOf reads a tar header back. What a header cannot tell stays empty: the
// digest and the extents.
func entryOf(h *tar.Header) (Entry, error) {
	e := Entry{
		Path: Name(h.Name), Link: Name(h.Linkname), Mode: h.Mode,
		UID: h.Uid, GID: h.Gid, MTime: h.ModTime.UnixNano(), Size: h.Size,
	}
	switch h.Typeflag {
	case tar.TypeDir:
		name, ok := strings.CutSuffix(h.Name, "/")
		if !ok {
			return e, fmt.Errorf("%q: directory without a final slash", h.Name)
		}
		e.Type, e.Path = Dir, Name(name)
	case tar.TypeReg:
		e.Type = File
	case tar.TypeSymlink:
		e.Type = Symlink
	case tar.TypeLink:
		e.Type = HardLink
	default:
		return e, fmt.Errorf("%q: members of type %q are not accepted", h.Name, h.Typeflag)
	}
	for key, value := range h.PAXRecords {
		if name, ok := strings.CutPrefix(key, xattrRecord); ok {
			if e.Xattrs == nil {
				e.Xattrs = map[string][]byte{}
			}
			e.Xattrs[name] = []byte(value)
		}
	}
	return e, nil
}
