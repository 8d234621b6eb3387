package live

import (
	"fmt"
	"strings"

	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/image/disk"
)

// volumeIDSize is how many characters a volume id of ISO 9660 can have.
const volumeIDSize = 32

// volumeID is the label by which the initramfs finds the ISO: as much of the
// volume set's name as fits.
func volumeID(s *disk.Sysroot) string {
	name := volumeSet(s)
	return name[:min(len(name), volumeIDSize)]
}

func volumeSet(s *disk.Sysroot) string { return s.Stateroot + "-" + s.BuildID }

// checkVolumeID makes sure that a volume id can stand where scripts of boot
// loaders and the kernel command line expect one word.
func checkVolumeID(id string) error {
	for _, c := range id {
		if c <= ' ' || c > '~' || strings.ContainsRune(`"'\$/;&|{}<>`, c) {
			return fmt.Errorf("the build's name makes %q the volume id of the ISO, in which boot loaders take %q for their own", id, c)
		}
	}
	return nil
}

// liveKargs are the kernel arguments of the live system: those of the metal
// image without what speaks of its disk, its console and its first boot.
func liveKargs(metal []string, volID string) string {
	var args []string
	for _, arg := range metal {
		switch name, _, _ := strings.Cut(arg, "="); name {
		case image.FirstBootKarg, "console", "ignition.platform.id", "ostree":
		default:
			args = append(args, arg)
		}
	}
	return strings.Join(append(args, "nestos.liveiso="+volID), " ")
}
