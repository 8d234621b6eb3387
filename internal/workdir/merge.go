package workdir

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
)

// errMerge says that two records describe different builds.
var errMerge = errors.New("unable to merge")

const stampKey = "coreos-assembler.meta-stamp"

// identity are the keys in which two records of one build agree.
var identity = [][]string{
	{"ostree-commit"},
	{"ostree-content-checksum"},
	{"coreos-assembler.image-config-checksum"},
	{"coreos-assembler.container-config-git", "commit"},
}

// mergeMeta brings what is on the disk and what a stage has in memory together.
// With equal stamps nobody has written in between, and memory is taken whole, so
// that what the stage deleted stays deleted. Else the later of the two takes
// precedence key by key. The result has the stamp now.
func mergeMeta(disk, memory map[string]any, now int64) (map[string]any, error) {
	for _, path := range identity {
		if err := agree(disk, memory, path); err != nil {
			return nil, err
		}
	}
	onDisk, inMemory := stamp(disk), stamp(memory)
	var result map[string]any
	switch {
	case onDisk == inMemory:
		result = maps.Clone(memory)
	case onDisk > inMemory:
		result = overlay(memory, disk)
	default:
		result = overlay(disk, memory)
	}
	// Two writes within one tick of the clock, or clocks that differ between
	// machines, must not let the result look older than what went into it.
	setStamp(result, max(now, onDisk+1, inMemory+1))
	return result, nil
}

func agree(disk, memory map[string]any, path []string) error {
	want, ok := lookup(disk, path)
	if !ok {
		return nil
	}
	if got, _ := lookup(memory, path); !reflect.DeepEqual(want, got) {
		return fmt.Errorf("%w: %s is %v on the disk and %v here", errMerge, joinPath(path), want, show(got))
	}
	return nil
}

func show(v any) any {
	if v == nil {
		return "absent"
	}
	return v
}

func joinPath(path []string) string {
	all := ""
	for _, name := range path {
		all = join(all, name)
	}
	return all
}

func lookup(object map[string]any, path []string) (any, bool) {
	var v any = object
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[name]; !ok {
			return nil, false
		}
	}
	return v, true
}

// overlay merges newer over older: keys of one side stay, objects merge, lists
// become the newer items and then those older ones that are not among them, and
// in any other conflict the newer value is taken.
func overlay(older, newer map[string]any) map[string]any {
	result := maps.Clone(older)
	if result == nil {
		result = map[string]any{}
	}
	for key, value := range newer {
		old, ok := older[key]
		if !ok {
			result[key] = value
			continue
		}
		result[key] = overlayValue(old, value)
	}
	return result
}

func overlayValue(older, newer any) any {
	switch newer := newer.(type) {
	case map[string]any:
		if older, ok := older.(map[string]any); ok {
			return overlay(older, newer)
		}
	case []any:
		if older, ok := older.([]any); ok {
			return union(newer, older)
		}
	}
	return newer
}

func union(newer, older []any) []any {
	result := slices.Clone(newer)
	for _, item := range older {
		if !slices.ContainsFunc(newer, func(other any) bool { return reflect.DeepEqual(item, other) }) {
			result = append(result, item)
		}
	}
	return result
}

// stamp is the time of the last write in nanoseconds, 0 if unknown.
func stamp(meta map[string]any) int64 {
	n, ok := meta[stampKey].(json.Number)
	if !ok {
		return 0
	}
	if i, err := n.Int64(); err == nil {
		return i
	}
	f, _ := n.Float64()
	return int64(f)
}

func setStamp(meta map[string]any, ns int64) {
	meta[stampKey] = json.Number(strconv.FormatInt(ns, 10))
}
