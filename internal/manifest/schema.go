package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/document"
)

// rule says what a key may hold and how it merges.
type rule struct {
	shape   shape
	merging merging
}

// schema lists the keys that take part in merging, in their modern spelling.
// Keys of rpm-ostree's client side are not among them.
var schema = map[string]rule{
	"add-commit-metadata":      {freeMap, outerKeys},
	"add-files":                {addFiles, innerFirst},
	"advisories-metadata":      {oneOf("inline", "detached", "disabled"), keepOuter},
	"automatic-version-prefix": {text, keepOuter},
	"automatic-version-suffix": {singleASCII, keepOuter},
	"basearch":                 {text, keepOuter},
	"boot-location":            {oneOf(BootModules, BootNew, BootKernelInstall), keepOuter},
	"check-groups":             {checkGroups, keepOuter},
	"check-passwd":             {checkPasswd, keepOuter},
	"cliwrap":                  {boolean, keepOuter},
	"cliwrap-binaries":         {texts, innerFirst},
	"container":                {boolean, keepOuter},
	"container-cmd":            {texts, keepOuter},
	"default-target":           {text, keepOuter},
	"documentation":            {boolean, keepOuter},
	"edition":                  {oneOf(Edition2014, Edition2024), keepOuter},
	"etc-group-members":        {texts, innerFirst},
	"exclude-packages":         {texts, innerFirst},
	"gpg-key":                  {text, keepOuter},
	"ignore-devices":           {boolean, keepOuter},
	"ignore-removed-groups":    {texts, innerFirst},
	"ignore-removed-users":     {texts, innerFirst},
	"ima":                      {boolean, keepOuter},
	"initramfs-args":           {texts, innerFirst},
	"install-langs":            {texts, innerFirst},
	"lockfile-repos":           {texts, innerFirst},
	"machineid-compat":         {boolean, keepOuter},
	"metadata":                 {freeMap, outerKeys},
	"mutate-os-release":        {text, keepOuter},
	"no-initramfs":             {boolean, keepOuter},
	"opt-usrlocal":             {oneOf(OptVar, OptRoot, OptStateOverlay, "stateoverlay"), keepOuter},
	"ostree-layers":            {texts, innerFirst},
	"ostree-override-layers":   {texts, innerFirst},
	"packages":                 {packageList, innerFirst},
	"platform-module":          {text, keepOuter},
	"postprocess":              {texts, innerFirst},
	"postprocess-script":       {executable, keepOuter},
	"preserve-passwd":          {boolean, keepOuter},
	"readonly-executables":     {boolean, keepOuter},
	"recommends":               {boolean, keepOuter},
	"ref":                      {text, keepOuter},
	"releasever":               {textOrInteger, keepOuter},
	"remove-files":             {removeFiles, innerFirst},
	"remove-from-packages":     {removeFromPackages, innerFirst},
	"repo-metadata":            {oneOf("inline", "detached", "disabled"), keepOuter},
	"repo-packages":            {repoPackages, innerFirst},
	"repos":                    {texts, innerFirst},
	"repovars":                 {repoVars, outerKeys},
	"rojig":                    {rojig, keepOuter},
	"rpmdb":                    {oneOf("bdb", "b-d-b", "ndb", "sqlite", RpmdbTarget, RpmdbHost), keepOuter},
	"rpmdb-normalize":          {boolean, keepOuter},
	"selinux":                  {boolean, keepOuter},
	"selinux-label-version":    {labelVersion, keepOuter},
	"sysusers":                 {text, keepOuter},
	"tmp-is-dir":               {boolean, keepOuter},
	"units":                    {texts, innerFirst},
}

// legacy maps the old spellings that the format still has to the modern ones.
var legacy = map[string]string{
	"automatic_version_prefix": "automatic-version-prefix",
	"boot_location":            "boot-location",
	"default_target":           "default-target",
	"gpg_key":                  "gpg-key",
}

// Keys that are handled while a file is read and do not merge.
const (
	keyInclude     = "include"
	keyArchInclude = "arch-include"
	keyConditional = "conditional-include"
	keyVariables   = "variables"
	keyBootstrap   = "bootstrap_packages" // folded into packages
	archPackages   = "packages-"          // prefix, folded into packages
)

// knownKeys are the spellings that a correction may propose.
var knownKeys = slices.Concat(slices.Sorted(maps.Keys(schema)),
	[]string{keyInclude, keyArchInclude, keyConditional, keyVariables, "packages-x86_64", "packages-aarch64"})

// source is one treefile before its includes.
type source struct {
	tree                                         tree
	include, archInclude, conditional, variables document.Node
}

// parse checks the keys and shapes of one treefile. A value that does not fit
// is reported and left out. Unknown keys are errors where strict, which YAML
// is; JSON has no comments, so there they are the place for them.
func (l *loader) parse(n document.Node, strict bool) source {
	raw := source{tree: tree{}}
	if !n.Expect(&l.found, document.Map) {
		return raw
	}
	given := map[string]string{}
	for _, f := range n.Fields {
		key := f.Key
		if modern, old := legacy[key]; old {
			key = modern
		}
		if spelling, twice := given[key]; twice {
			l.found.Addf(f.Pos, "%q and %q are the same key; give only one", spelling, f.Key)
			continue
		}
		given[key] = f.Key
		if !raw.take(key, f.Value) && !l.takeKey(raw.tree, key, f) {
			l.unknown(f, strict)
		}
	}
	return raw
}

// take keeps a value that steers the flattening.
func (s *source) take(key string, n document.Node) bool {
	switch key {
	case keyInclude:
		s.include = n
	case keyArchInclude:
		s.archInclude = n
	case keyConditional:
		s.conditional = n
	case keyVariables:
		s.variables = n
	default:
		return false
	}
	return true
}

// takeKey adds a value of the schema to the tree; false means that the key is
// unknown.
func (l *loader) takeKey(t tree, key string, f document.Field) bool {
	into, ours := key, true
	if suffix, ok := strings.CutPrefix(key, archPackages); ok {
		l.warnArch(f.Pos, key, suffix)
		into, ours = "packages", suffix == l.arch.RPM
	} else if key == keyBootstrap {
		into = "packages"
	}
	r, known := schema[into]
	if !known {
		return false
	}
	if f.Value.Kind == document.Null && !strings.HasPrefix(key, archPackages) {
		return true
	}
	value, ok := r.shape(f.Value, &l.found)
	if !ok || !ours {
		return true
	}
	if before, both := t[into]; both {
		before.Items = slices.Concat(before.Items, value.Items)
		value = before
	}
	t[into] = value
	return true
}

func (l *loader) unknown(f document.Field, strict bool) {
	finding := document.Unknown(f, knownKeys)
	if strict {
		l.found.Add(finding)
		return
	}
	if finding.Mend == "" {
		return
	}
	finding.Severity = diag.Warning
	finding.Message = fmt.Sprintf("unknown key %q is ignored", f.Key)
	l.found.Add(finding)
}
