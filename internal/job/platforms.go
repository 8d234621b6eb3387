package job

import (
	"cmp"
	"slices"

	"github.com/nestos/nosa-actions/internal/action"
)

// Platforms are those whose images the assembler makes; each comes after those that
// it is made from.
var Platforms = []string{"qemu", "metal", "metal4k", "openstack", "live"}

// madeFrom names, for a platform whose image is made from another one's, that one.
var madeFrom = map[string]string{"openstack": "qemu", "live": "metal"}

// PlatformGroups divides platforms, and those that they are made from, among jobs
// that need nothing of one another.
func PlatformGroups(chosen []string) [][]string {
	wanted := map[string]bool{}
	for _, p := range chosen {
		wanted[p] = true
		if from, ok := madeFrom[p]; ok {
			wanted[from] = true
		}
	}
	var groups [][]string
	at := map[string]int{}
	for _, p := range Platforms {
		if !wanted[p] {
			continue
		}
		first := cmp.Or(madeFrom[p], p)
		i, known := at[first]
		if !known {
			i, at[first] = len(groups), len(groups)
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], p)
	}
	return groups
}

// ReadPlatforms reads the platforms to make images for, in the order in which they
// can be made. Within a pipeline of several jobs a platform must come with the one
// that it is made from, which would not be there.
func ReadPlatforms(s *action.Step, handoff bool) []string {
	chosen := s.Choices("platforms", Platforms...)
	if len(chosen) == 0 {
		s.Wrong("platforms", "is empty", "name at least one, such as qemu")
	}
	for _, platform := range chosen {
		if from, ok := madeFrom[platform]; ok && handoff && !slices.Contains(chosen, from) {
			s.Wrong("platforms", "has "+platform+" without "+from, "the one is made from the other; name both in the same list")
		}
	}
	return slices.DeleteFunc(slices.Clone(Platforms), func(p string) bool { return !slices.Contains(chosen, p) })
}
