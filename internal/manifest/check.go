package manifest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/document"
)

// How users and groups are checked against a reference.
const (
	CheckNone     = "none"
	CheckPrevious = "previous" // the previous commit
	CheckFile     = "file"     // a file in the format of passwd(5) or group(5)
	CheckData     = "data"     // entries in the treefile
)

// Check says what users or groups the tree must agree with.
type Check struct {
	Type    string
	File    External     // of CheckFile
	Entries []CheckEntry // of CheckData, in the order of the file
	Pos     diag.Pos
}

// CheckEntry is one expected user or group.
type CheckEntry struct {
	Name string
	ID   int64  // uid of a user, gid of a group
	GID  *int64 // of a user, where given
	Pos  diag.Pos
}

func checkPasswd(n document.Node, found *diag.List) (document.Node, bool) {
	_, ok := parseCheck(n, found, true)
	return n, ok
}

func checkGroups(n document.Node, found *diag.List) (document.Node, bool) {
	_, ok := parseCheck(n, found, false)
	return n, ok
}

func parseCheck(n document.Node, found *diag.List, users bool) (Check, bool) {
	if !n.Expect(found, document.Map) {
		return Check{}, false
	}
	before := len(found.Findings)
	typ, given := n.Get("type")
	if !given {
		n.Reject(found, "type is required: none, previous, file or data", "")
		return Check{}, false
	}
	if _, ok := oneOf(CheckNone, CheckPrevious, CheckFile, CheckData)(typ, found); !ok {
		return Check{}, false
	}
	c := Check{Type: typ.Text, Pos: n.Pos}
	detail, needed := map[string]string{CheckFile: "filename", CheckData: "entries"}[c.Type]
	if !needed {
		n.KnownKeys(found, "type")
		return c, len(found.Findings) == before
	}
	n.KnownKeys(found, "type", detail)
	value, given := n.Get(detail)
	if !given {
		n.Reject(found, fmt.Sprintf("type %s needs the key %s", c.Type, detail), "")
		return c, false
	}
	if c.Type == CheckData {
		c.Entries = checkEntries(value, found, users)
	} else if value.Expect(found, document.String) {
		c.File, _ = external(value, found)
	}
	return c, len(found.Findings) == before
}

func checkEntries(n document.Node, found *diag.List, users bool) []CheckEntry {
	if !n.Expect(found, document.Map) {
		return nil
	}
	var entries []CheckEntry
	for _, f := range n.Fields {
		if entry, ok := checkEntry(f, found, users); ok {
			entries = append(entries, entry)
		}
	}
	return entries
}

// checkEntry reads uid, [uid] or [uid, gid] of a user, or gid of a group.
func checkEntry(f document.Field, found *diag.List, users bool) (CheckEntry, bool) {
	ids := []document.Node{f.Value}
	if users && f.Value.Kind == document.List {
		ids = f.Value.Items
		if len(ids) < 1 || len(ids) > 2 {
			f.Value.Reject(found, "must be a uid, or a list of a uid and perhaps a gid", "")
			return CheckEntry{}, false
		}
	}
	entry := CheckEntry{Name: f.Key, Pos: f.Pos}
	var numbers []int64
	for _, id := range ids {
		v, ok := id.AsInt(found)
		if !ok {
			return entry, false
		}
		if v < 0 || v > 1<<32-2 {
			id.Reject(found, fmt.Sprintf("%d is not a user or group id", v), "")
			return entry, false
		}
		numbers = append(numbers, v)
	}
	entry.ID = numbers[0]
	if len(numbers) == 2 {
		entry.GID = &numbers[1]
	}
	return entry, true
}

// refForm is what libostree takes for the name of a ref.
var refForm = regexp.MustCompile(`^[\w\d][-._\w\d]*(/[\w\d][-._\w\d]*)*$`)

// require reports the keys that every build needs.
func (m *Manifest) require(found *diag.List) {
	top := diag.Pos{File: m.Path, Line: 1, Column: 1}
	if _, ok := m.tree["rojig"]; !ok && !mentions(found, "rojig") {
		found.Addf(top, "rojig is required, with name, summary and license; its name is that of the system")
	}
	if _, ok := m.tree["automatic-version-prefix"]; !ok && !mentions(found, "automatic-version-prefix") {
		found.Addf(top, `automatic-version-prefix is required (for example "24.03.<date:%%Y%%m%%d>")`)
	}
}

// check looks at what only the flattened treefile can show.
func (m *Manifest) check(found *diag.List) {
	if n, ok := m.tree["rojig"]; ok && (m.Rojig.Name == "" || strings.ContainsAny(m.Rojig.Name, "/ \t\n") || m.Rojig.Name[0] == '.') {
		name, _ := n.Get("name")
		name.Reject(found, fmt.Sprintf("%q cannot name files; it must not be empty, begin with a dot, or contain blanks or slashes", m.Rojig.Name), "")
	}
	if n, ok := m.tree["ref"]; ok && !refForm.MatchString(m.Ref) {
		n.Reject(found, fmt.Sprintf("%q is not a valid name of a branch%s", m.Ref, unresolved(m.Ref)), "")
	}
	if len(m.Units) > 0 && !m.MachineIDCompat {
		m.tree["units"].Reject(found, "units cannot be enabled when machineid-compat is false", "use a preset file instead")
	}
	m.checkExcluded(found)
	m.checkVersion(found)
	m.doubts(found)
}

// checkExcluded refuses to hide a package and ask for it by the same name. That
// a name may also stand for another package's provide is the solver's business.
func (m *Manifest) checkExcluded(found *diag.List) {
	excluded := map[string]diag.Pos{}
	for _, p := range m.ExcludePackages {
		excluded[p.Name] = p.Pos
	}
	for _, n := range m.tree["packages"].Items {
		if at, both := excluded[n.Text]; both {
			n.Reject(found, fmt.Sprintf("%q is also in exclude-packages, at %s", n.Text, at), "take it out of one of the two")
		}
	}
}

// mentions tells whether a key was given but rejected, so that it is not
// reported as missing too.
func mentions(found *diag.List, key string) bool {
	return slices.ContainsFunc(found.Findings, func(f diag.Finding) bool {
		return strings.HasPrefix(f.Message, key+":") || strings.HasPrefix(f.Message, key+".")
	})
}

func unresolved(s string) string {
	if ref := reference.FindString(s); ref != "" {
		return fmt.Sprintf(": variable %s is not defined", ref)
	}
	return ""
}

// ineffective are keys of the format that this program reads and has no use for,
// by the value, if any, that asks for nothing.
var ineffective = map[string]string{
	"cliwrap":          "false",
	"cliwrap-binaries": "",
	"gpg-key":          "",
	"ima":              "false",
	"rpmdb-normalize":  "false",
	"sysusers":         "compose-auto",
}

func (m *Manifest) doubts(found *diag.List) {
	for _, key := range slices.Sorted(maps.Keys(ineffective)) {
		if n, ok := m.tree[key]; ok && (n.Text == "" || n.Text != ineffective[key]) {
			found.Warnf(n.Pos, "%s: has no effect here; see docs/compatibility.md", key)
		}
	}
	if n, ok := m.tree["repo-metadata"]; ok && n.Text == "detached" {
		found.Warnf(n.Pos, "repo-metadata: detached is taken for inline")
	}
	if n, ok := m.tree["boot-location"]; ok && m.BootLocation != BootModules {
		found.Warnf(n.Pos, "boot-location: %s is deprecated; use %s", m.BootLocation, BootModules)
	}
	if n, ok := m.tree["initramfs-args"]; ok {
		found.Warnf(n.Pos, "initramfs-args: deprecated; put a file in /usr/lib/dracut/dracut.conf.d instead")
	}
}
