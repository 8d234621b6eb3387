package test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/document"
	"github.com/nestos/nosa-actions/internal/kola"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// List selects tests without running them.
func List(dir *workdir.Dir, o Options) (kola.Selection, error) {
	o = o.defaults()
	cases, err := o.cases(dir)
	if err != nil {
		return kola.Selection{}, err
	}
	filter := kola.Filter{
		Patterns: o.Patterns, Tags: o.Tags, Deny: o.Deny, Distro: o.Distro, NoNet: o.NoNet,
		Anywhere: o.Anywhere, Shard: o.Shard, Multiply: o.Multiply,
		At: kola.Situation{Platform: o.Platform, Now: time.Now()},
	}
	if dir == nil {
		host, err := arch.Host()
		if err != nil {
			return kola.Selection{}, err
		}
		filter.At.Arch = host.RPM
		return filter.Select(cases)
	}
	filter.At.Arch = dir.Arch.RPM
	if filter.At.Stream, filter.At.OSVersion, err = stream(dir); err != nil {
		return kola.Selection{}, err
	}
	filter.Denylist, err = kola.LoadDenylist(filepath.Join(dir.Config(), "kola-denylist.yaml"))
	if err != nil {
		return kola.Selection{}, err
	}
	return filter.Select(cases)
}

// cases finds all tests there are.
func (o Options) cases(dir *workdir.Dir) ([]kola.Case, error) {
	cases, err := kola.Builtin()
	if err != nil {
		return nil, err
	}
	cases = append(cases, kola.Inspection())
	sources := slices.Clone(o.ExtTests)
	if len(sources) == 0 {
		sources = []string{"."}
	}
	if dir != nil {
		sources = append(sources, dir.Config())
	}
	var found diag.List
	for _, source := range sources {
		external, err := kola.Discover(source, &found)
		if err != nil {
			return nil, err
		}
		cases = append(cases, external...)
	}
	return cases, found.Err()
}

// stream reads two variables of the top-level manifest, as the conditions of a
// denylist compare them: includes are not followed.
func stream(dir *workdir.Dir) (stream, osversion string, err error) {
	variant, err := dir.Variant()
	if err != nil {
		return "", "", err
	}
	name := "manifest.yaml"
	if variant != "" {
		name = "manifest-" + variant + ".yaml"
	}
	top, err := document.Load(filepath.Join(dir.Config(), name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	variables, _ := top.Get("variables")
	text := func(key string) string {
		if value, ok := variables.Get(key); ok {
			return strings.TrimSpace(fmt.Sprint(value.Any()))
		}
		return ""
	}
	return text("stream"), text("osversion"), nil
}
