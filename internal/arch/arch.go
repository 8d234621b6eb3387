// Package arch knows one machine architecture by the names that the several
// tools give it.
package arch

import (
	"fmt"
	"runtime"
	"strings"
)

// Arch is one supported architecture. Compare with ==.
type Arch struct {
	RPM  string // rpm base architecture: x86_64
	Go   string // GOARCH: amd64
	OCI  string // image-spec architecture: amd64
	QEMU string // suffix of qemu-system-: x86_64
	EFI  string // suffix of the removable-media loader, upper case: X64
	GRUB string // grub's EFI platform: x86_64-efi
	Deb  string // Debian architecture: amd64
}

var (
	X86_64  = Arch{RPM: "x86_64", Go: "amd64", OCI: "amd64", QEMU: "x86_64", EFI: "X64", GRUB: "x86_64-efi", Deb: "amd64"}
	AArch64 = Arch{RPM: "aarch64", Go: "arm64", OCI: "arm64", QEMU: "aarch64", EFI: "AA64", GRUB: "arm64-efi", Deb: "arm64"}
)

// All lists the supported architectures.
func All() []Arch { return []Arch{X86_64, AArch64} }

// Parse finds an architecture by its rpm name.
func Parse(rpm string) (Arch, error) {
	var names []string
	for _, a := range All() {
		if a.RPM == rpm {
			return a, nil
		}
		names = append(names, a.RPM)
	}
	return Arch{}, fmt.Errorf("architecture %q is not supported; supported are %s", rpm, strings.Join(names, ", "))
}

// Host is the architecture of this process.
func Host() (Arch, error) {
	for _, a := range All() {
		if a.Go == runtime.GOARCH {
			return a, nil
		}
	}
	return Arch{}, fmt.Errorf("architecture %s of this machine is not supported", runtime.GOARCH)
}

// String is the rpm name.
func (a Arch) String() string { return a.RPM }
