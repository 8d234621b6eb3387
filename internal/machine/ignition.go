package machine

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/clarketm/json" // as encoding/json, but leaves out empty structs
	"github.com/coreos/butane/config"
	"github.com/coreos/butane/config/common"
	ignerrors "github.com/coreos/ignition/v2/config/shared/errors"
	"github.com/coreos/ignition/v2/config/util"
	"github.com/coreos/ignition/v2/config/v3_0"
	"github.com/coreos/ignition/v2/config/v3_1"
	"github.com/coreos/ignition/v2/config/v3_2"
	"github.com/coreos/ignition/v2/config/v3_3"
	"github.com/coreos/ignition/v2/config/v3_4"
	"github.com/coreos/ignition/v2/config/v3_5"
	"github.com/coreos/vcontext/report"

	"github.com/nestos/nosa-actions/internal/diag"
)

// User is the login user of a guest.
const User = "nest"

// Config is an Ignition config as JSON together with what it is called in
// messages, usually its path.
type Config struct {
	Name string
	JSON []byte
}

// ConfigError says that a config is not valid Ignition or Butane.
type ConfigError struct {
	Name   string
	Report string // what the validator says, one entry a line; may be empty
	Err    error

	entries []report.Entry
}

// newConfigError keeps what the validator reports.
func newConfigError(name string, rpt report.Report, err error) *ConfigError {
	return &ConfigError{Name: name, Report: rpt.String(), Err: err, entries: rpt.Entries}
}

// Findings is the error as findings about the file Name: one for each fatal entry
// of the report at its place, or a single one.
func (e *ConfigError) Findings() []diag.Finding {
	var out []diag.Finding
	for _, entry := range e.entries {
		if !entry.Kind.IsFatal() {
			continue
		}
		f := diag.Finding{Pos: diag.Pos{File: e.Name}, Message: entry.Message}
		if at := entry.Marker.StartP; at != nil {
			f.Pos.Line, f.Pos.Column = int(at.Line), int(at.Column)
		}
		if entry.Context.Len() > 0 {
			f.Message = entry.Context.String() + ": " + f.Message
		}
		out = append(out, f)
	}
	if len(out) == 0 {
		bare := *e
		bare.Name, bare.Report = "", ""
		out = []diag.Finding{{Pos: diag.Pos{File: e.Name}, Message: strings.TrimPrefix(bare.Error(), ": ")}}
	}
	return out
}

// Error prints "NAME: CAUSE: REPORT".
func (e *ConfigError) Error() string {
	msg := fmt.Sprintf("%s: %v", e.Name, e.Err)
	if errors.Is(e.Err, ignerrors.ErrUnknownVersion) {
		msg += " (known are Ignition 3.0.0 to 3.5.0)"
	}
	if e.Report != "" {
		msg += ": " + strings.TrimSpace(e.Report)
	}
	return msg
}

func (e *ConfigError) Unwrap() error { return e.Err }

// Merge merges Ignition configs of the 3.x family, later ones over earlier
// ones, by the rules of the Ignition specification. The result has the highest
// version among them and no newer one, because a guest refuses what is newer
// than its own Ignition. Warnings of the validator are returned as text.
func Merge(configs ...Config) (merged []byte, warnings []string, err error) {
	best := 0
	for _, c := range configs {
		minor, err := minorVersion(c)
		if err != nil {
			return nil, nil, err
		}
		best = max(best, minor)
	}
	return specs[best](configs)
}

// specs merges with the types of 3.0, 3.1 and so on; each parses all versions
// before its own too.
var specs = []func([]Config) ([]byte, []string, error){
	merger(v3_0.ParseCompatibleVersion, v3_0.Merge),
	merger(v3_1.ParseCompatibleVersion, v3_1.Merge),
	merger(v3_2.ParseCompatibleVersion, v3_2.Merge),
	merger(v3_3.ParseCompatibleVersion, v3_3.Merge),
	merger(v3_4.ParseCompatibleVersion, v3_4.Merge),
	merger(v3_5.ParseCompatibleVersion, v3_5.Merge),
}

func merger[C any](
	parse func([]byte) (C, report.Report, error), merge func(parent, child C) C,
) func([]Config) ([]byte, []string, error) {
	return func(configs []Config) ([]byte, []string, error) {
		var merged C
		var warnings []string
		for i, c := range configs {
			parsed, rpt, err := parse(c.JSON)
			if err != nil {
				return nil, nil, newConfigError(c.Name, rpt, err)
			}
			for _, entry := range rpt.Entries {
				warnings = append(warnings, c.Name+": "+entry.String())
			}
			if i == 0 {
				merged = parsed
				continue
			}
			merged = merge(merged, parsed)
		}
		out, err := json.Marshal(merged)
		return out, warnings, err
	}
}

// minorVersion is the N of a config of version 3.N.
func minorVersion(c Config) (int, error) {
	version, rpt, err := util.GetConfigVersion(c.JSON)
	if err != nil {
		return 0, newConfigError(c.Name, rpt, err)
	}
	if version.Major != 3 || version.Minor >= int64(len(specs)) || version.PreRelease != "" {
		return 0, &ConfigError{Name: c.Name, Err: fmt.Errorf("version %s: %w", version, ignerrors.ErrUnknownVersion)}
	}
	return int(version.Minor), nil
}

// FromButane translates a Butane config; files it embeds are looked up below
// filesDir. Warnings are returned as text.
func FromButane(name string, butane []byte, filesDir string) (Config, []string, error) {
	out, rpt, err := config.TranslateBytes(butane, common.TranslateBytesOptions{
		TranslateOptions: common.TranslateOptions{FilesDir: filesDir},
		Raw:              true,
	})
	if err != nil {
		return Config{}, nil, newConfigError(name, rpt, err)
	}
	var warnings []string
	for _, entry := range rpt.Entries {
		warnings = append(warnings, name+": "+entry.String())
	}
	return Config{Name: name, JSON: out}, warnings, nil
}

// Fragment is what we add to a guest's config. It needs no more than Ignition
// 3.0, so that it goes with every version a person asks for.
type Fragment struct {
	Files []File
	Units []Unit
	Users []Login
}

// File is a file that Ignition writes, replacing what is there.
type File struct {
	Path    string
	Content []byte
	Mode    int // permission bits
}

// Unit is a systemd unit or, with a Dropin, an addition to one.
type Unit struct {
	Name    string
	Content string
	Enabled bool
	Dropin  string // name of the drop-in that Content is; empty: the unit itself
}

// Login is a user with the ssh keys that may log in, as authorized_keys lines.
type Login struct {
	Name    string
	SSHKeys []string
}

// Config renders the fragment as Ignition 3.0.0.
func (f Fragment) Config(name string) (Config, error) {
	type object = map[string]any
	out := object{"ignition": object{"version": "3.0.0"}}
	var files, units, users []object
	for _, file := range f.Files {
		files = append(files, object{
			"path": file.Path, "mode": file.Mode, "overwrite": true,
			"contents": object{"source": dataURL(file.Content)},
		})
	}
	for _, unit := range f.Units {
		entry := object{"name": unit.Name}
		if unit.Enabled {
			entry["enabled"] = true
		}
		if unit.Dropin != "" {
			entry["dropins"] = []object{{"name": unit.Dropin, "contents": unit.Content}}
		} else {
			entry["contents"] = unit.Content
		}
		units = append(units, entry)
	}
	for _, user := range f.Users {
		users = append(users, object{"name": user.Name, "sshAuthorizedKeys": user.SSHKeys})
	}
	if files != nil {
		out["storage"] = object{"files": files}
	}
	if units != nil {
		out["systemd"] = object{"units": units}
	}
	if users != nil {
		out["passwd"] = object{"users": users}
	}
	data, err := json.Marshal(out)
	return Config{Name: name, JSON: data}, err
}

// dataURL embeds content as a data URL (RFC 2397), text so that a person can
// read it.
func dataURL(content []byte) string {
	if !utf8.Valid(content) {
		return "data:;base64," + base64.StdEncoding.EncodeToString(content)
	}
	return "data:," + url.PathEscape(string(content))
}
