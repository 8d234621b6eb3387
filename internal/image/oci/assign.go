package oci

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"sort"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// unpackaged stands for the files of no package and no component: what scripts and
// the build itself made. It shares its layer with nothing.
const unpackaged = "unpackaged"

// unit is what goes to a layer as a whole: the packages of one source.
type unit struct {
	name     string   // of the first package
	packages []string // sorted
	size     uint64   // bytes of content
}

// assign spreads the units over at most limit layers and returns the packages of
// each. The rule:
//
//   - While there are layers enough, each unit has its own.
//   - Else the biggest units take half of the layers, one each, and every other
//     unit goes to the one of the other layers that a hash of its name says: so
//     a package that comes, goes or grows moves no other.
//   - With the layers of a previous build, each unit stays where the first of
//     its packages was; a new unit gets a layer of its own while there are some
//     left, and is hashed into one that holds several units otherwise. When the
//     previous layers are too many for the limit they are not used.
//
// Units of no bytes are kept: their symbolic links and empty files lie somewhere
// too.
func assign(units []unit, limit int, previous [][]string) [][]string {
	units = slices.Clone(units)
	sort.Slice(units, func(i, j int) bool {
		if units[i].size != units[j].size {
			return units[i].size > units[j].size
		}
		return units[i].name < units[j].name
	})
	var layers [][]string
	if len(previous) > 0 && len(previous) <= limit {
		layers = assignAgain(units, limit, previous)
	} else {
		layers = assignFresh(units, limit)
	}
	layers = slices.DeleteFunc(layers, func(l []string) bool { return len(l) == 0 })
	for _, l := range layers {
		slices.Sort(l)
	}
	return layers
}

func assignFresh(units []unit, limit int) [][]string {
	if len(units) <= limit {
		var layers [][]string
		for _, u := range units {
			layers = append(layers, u.packages)
		}
		return layers
	}
	layers := make([][]string, limit)
	alone := limit / 2
	for i, u := range units {
		at := i
		if i >= alone {
			at = alone + bucket(u.name, limit-alone)
		}
		layers[at] = append(layers[at], u.packages...)
	}
	return layers
}

func assignAgain(units []unit, limit int, previous [][]string) [][]string {
	was := map[string]int{}
	for i, packages := range previous {
		for _, name := range packages {
			was[name] = i
		}
	}
	layers := make([][]string, len(previous), limit)
	members := make([]int, len(previous), limit) // units in each layer
	var fresh []unit
	for _, u := range units {
		at := slices.IndexFunc(u.packages, func(name string) bool { _, ok := was[name]; return ok })
		if at < 0 {
			fresh = append(fresh, u)
			continue
		}
		home := was[u.packages[at]]
		layers[home] = append(layers[home], u.packages...)
		members[home]++
	}
	shared := sharedLayers(members)
	for _, u := range fresh {
		if len(layers) < limit {
			layers = append(layers, u.packages)
			continue
		}
		at := shared[bucket(u.name, len(shared))]
		layers[at] = append(layers[at], u.packages...)
	}
	return layers
}

// sharedLayers are the layers of several units, or all if there are none.
func sharedLayers(members []int) []int {
	var shared, all []int
	for i, n := range members {
		all = append(all, i)
		if n > 1 {
			shared = append(shared, i)
		}
	}
	if len(shared) > 0 {
		return shared
	}
	return all
}

func bucket(name string, n int) int {
	h := fnv.New64a()
	h.Write([]byte(name))
	return int(h.Sum64() % uint64(n))
}

// previousLayers reads which packages the layers of a manifest hold, without the
// layers of what no package owns. A manifest of another origin, without the
// annotation, gives none.
func previousLayers(manifest []byte) ([][]string, error) {
	if manifest == nil {
		return nil, nil
	}
	var m v1.Manifest
	if err := json.Unmarshal(manifest, &m); err != nil {
		return nil, fmt.Errorf("manifest of the previous build: %w", err)
	}
	var layers [][]string
	for _, layer := range m.Layers {
		packages := layer.Annotations[annotationComponents]
		if packages == "" || packages == unpackaged || isComponent(packages) {
			continue
		}
		layers = append(layers, strings.Split(packages, ","))
	}
	return layers, nil
}
