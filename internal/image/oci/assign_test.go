package oci

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func manyUnits(n int) (units []unit) {
	for i := range n {
		name := fmt.Sprintf("pkg%03d", i)
		units = append(units, unit{name: name, packages: []string{name}, size: uint64(1000 - i)})
	}
	return units
}

func TestEachUnitHasALayerWhileThereAreEnough(t *testing.T) {
	require.Equal(t, [][]string{{"pkg000"}, {"pkg001"}, {"pkg002"}}, assign(manyUnits(3), 3, nil))
}

func TestTheBiggestStandAlone(t *testing.T) {
	layers := assign(manyUnits(200), 10, nil)
	require.Len(t, layers, 10)
	for i := range 5 {
		require.Equal(t, []string{fmt.Sprintf("pkg%03d", i)}, layers[i])
	}
	require.Len(t, slices.Concat(layers...), 200)
}

func TestAPackageThatComesOrGoesMovesNoOther(t *testing.T) {
	units := manyUnits(200)
	before := assign(units, 10, nil)
	changed := slices.Delete(slices.Clone(units), 100, 101)
	changed = append(changed, unit{name: "new", packages: []string{"new"}, size: 1})
	after := assign(changed, 10, nil)
	for i := range before {
		gone := slices.DeleteFunc(slices.Clone(before[i]), func(s string) bool { return s == "pkg100" })
		kept := slices.DeleteFunc(slices.Clone(after[i]), func(s string) bool { return s == "new" })
		require.Equal(t, gone, kept)
	}
}

func TestPreviousLayersAreKept(t *testing.T) {
	units := manyUnits(200)
	before := assign(units, 10, nil)
	units[150].size = 1 << 40 // would stand alone now
	units = append(units, unit{name: "new", packages: []string{"new"}, size: 1 << 41})
	after := assign(units, 10, before)
	placed := 0
	for i := range after {
		kept := slices.DeleteFunc(slices.Clone(after[i]), func(s string) bool { return s == "new" })
		placed += len(after[i]) - len(kept)
		require.Equal(t, before[i], kept)
		if i < 5 {
			require.Len(t, after[i], 1, "a package that stood alone stays so")
		}
	}
	require.Equal(t, 1, placed)
}

func TestANewPackageTakesAFreeLayer(t *testing.T) {
	units := append(manyUnits(3), unit{name: "new", packages: []string{"new"}})
	require.Equal(t, [][]string{{"pkg001"}, {"pkg000"}, {"pkg002"}, {"new"}},
		assign(units, 5, [][]string{{"pkg001"}, {"gone"}, {"pkg000"}, {"pkg002"}}))
}

func TestTooManyPreviousLayersAreNotUsed(t *testing.T) {
	require.Equal(t, assign(manyUnits(9), 3, nil), assign(manyUnits(9), 3, [][]string{{"pkg008"}, {"pkg001"}, {"x"}, {"y"}}))
}
