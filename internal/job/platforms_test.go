package job

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlatformsAreMadeTogetherOrApart(t *testing.T) {
	for _, c := range []struct {
		chosen []string
		groups [][]string
	}{
		{nil, nil},
		{[]string{"qemu"}, [][]string{{"qemu"}}},
		{[]string{"metal4k", "qemu", "metal"}, [][]string{{"qemu"}, {"metal"}, {"metal4k"}}},
		{[]string{"live"}, [][]string{{"metal", "live"}}},
		{[]string{"openstack", "live", "qemu", "metal"}, [][]string{{"qemu", "openstack"}, {"metal", "live"}}},
	} {
		require.Equal(t, c.groups, PlatformGroups(c.chosen), c.chosen)
	}
}

func TestEachPlatformComesAfterThoseItIsMadeFrom(t *testing.T) {
	for platform, from := range madeFrom {
		require.Less(t, slices.Index(Platforms, from), slices.Index(Platforms, platform))
	}
}
