package image

import (
	"strings"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/imageconf"
)

// FirstBootKarg is stored as it stands; GRUB replaces it by
// "ignition.firstboot ..." as long as the first-boot stamp exists.
const FirstBootKarg = "$ignition_firstboot"

// Kargs are the kernel arguments of an image, in the order they have on the
// command line; ostree adds its own at the end.
func Kargs(k Kind, a arch.Arch, c *imageconf.Config, p imageconf.Platforms) []string {
	var args []string
	for _, extra := range c.ExtraKargs {
		args = append(args, strings.Fields(extra)...)
	}
	platform := k.Traits().Platform
	args = append(args, "ignition.platform.id="+platform)
	for _, console := range p.Console(a.RPM, platform).KernelArguments {
		args = append(args, strings.Fields(console)...)
	}
	return append(args, FirstBootKarg)
}
