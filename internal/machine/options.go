package machine

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/nestos/nosa-actions/internal/arch"
)

// Firmware is what starts the guest.
type Firmware string

const (
	BIOS       Firmware = "bios"
	UEFI       Firmware = "uefi"
	UEFISecure Firmware = "uefi-secure" // with Secure Boot on
)

// maxCPUs caps the default number of CPUs of a guest.
const maxCPUs = 16

// Options describe a guest. The zero value of all but Arch and Image (or
// Kernel) is sensible.
type Options struct {
	Arch  arch.Arch
	Image string // qcow2 or raw; never written to
	// Kernel, Initrd and Cmdline start a Linux kernel without a boot loader.
	Kernel, Initrd, Cmdline string

	Name      string   // for messages and the process list; default: "guest"
	Firmware  Firmware // default: bios on x86_64, else uefi
	MemoryMiB int      // default: 1024, 2048 on aarch64
	CPUs      int      // default: as many as the host, at most 16
	DiskGiB   int      // grows the primary disk to at least this
	Primary   Disk     // how the primary disk is attached; its size and file are not used
	Disks     []Disk   // additional ones
	NICs      int      // additional network cards, without ssh forwarding
	Offline   bool     // no network but the forwarded ssh port
	NoReboot  bool     // a reboot ends the guest
	Ports     []Port   // virtio ports on which the guest tells something
	Binds     []Bind   // directories of the host that the guest sees

	ISO       string // CD to boot from, or with ISOAsDisk a disk; never written to
	ISOAsDisk bool
	Netboot   *Netboot
	TPM       TPM

	// Arguments for the kernel of the image: of every boot, and of the first.
	KernelArgs, FirstbootKernelArgs string
	// InjectIgnition leaves the config on the boot partition, as an installer
	// does, instead of handing it over by the firmware.
	InjectIgnition bool
	// Saved starts from what another guest left; see Guest.Save and Guest.Crash.
	Saved *Saved
	// Bare hands over no config at all, not even our own; nobody can log in.
	Bare bool

	// Configs are Ignition configs, merged in this order under our own that
	// lets ssh in.
	Configs []Config
	// Direct passes the only config untouched; then nobody can log in by ssh
	// unless the config says so.
	Direct      bool
	Autologin   bool     // on the consoles, as User
	Hostname    string   // written to /etc/hostname
	DebugUnits  []string // units that log more
	JournalFile string   // receives the guest's journal as JSON lines

	ConsoleFile string    // receives all console output
	Console     io.Writer // receives a live copy of it
	Scratch     string    // where the overlay lives meanwhile; default: the system's
	ExtraArgs   []string  // verbatim for qemu
}

// TPM says whether the guest gets an emulated trusted platform module.
type TPM int

const (
	NoTPM      TPM = iota
	TPMIfThere     // if this machine has swtpm
	NeedTPM
)

// Port is a virtio port by name; what the guest writes to it goes to a file.
type Port struct{ Name, File string }

// Bind shows a directory of the host in the guest.
type Bind struct {
	Dir      string // of the host
	At       string // absolute path in the guest
	Writable bool
}

// Netboot starts the guest from the network card: by its own iPXE, which gets a
// file by TFTP.
type Netboot struct {
	Dir  string // what TFTP serves
	File string // below Dir
}

// complete fills in the defaults and refuses what cannot be.
func (o Options) complete() (Options, error) {
	switch {
	case o.Arch == (arch.Arch{}):
		return o, fmt.Errorf("no architecture given")
	case o.Image == "" && o.Kernel == "" && o.ISO == "" && o.Netboot == nil && o.Saved == nil:
		return o, fmt.Errorf("no disk image given")
	case o.Image == "" && (o.KernelArgs != "" && o.ISO == "" || o.FirstbootKernelArgs != "" || o.InjectIgnition):
		return o, fmt.Errorf("kernel arguments and configs can be put only into a disk image")
	case o.MemoryMiB < 0 || o.CPUs < 0 || o.DiskGiB < 0 || o.NICs < 0 || o.NICs > 16:
		return o, fmt.Errorf("memory, CPUs and disk size must not be negative, and at most 16 additional network cards are possible")
	case o.Direct && len(o.Configs) != 1:
		return o, fmt.Errorf("exactly one Ignition config can be passed untouched")
	}
	if o.Firmware == "" {
		o.Firmware = UEFI
		if o.Arch == arch.X86_64 {
			o.Firmware = BIOS
		}
	}
	known := []Firmware{UEFI}
	if o.Arch == arch.X86_64 {
		known = []Firmware{BIOS, UEFI, UEFISecure}
	}
	if !slices.Contains(known, o.Firmware) {
		return o, fmt.Errorf("firmware %q is not possible on %s; possible: %v", o.Firmware, o.Arch, known)
	}
	if o.MemoryMiB == 0 {
		o.MemoryMiB = 1024
		if o.Arch == arch.AArch64 {
			o.MemoryMiB = 2048
		}
	}
	if o.CPUs == 0 {
		o.CPUs = min(runtime.NumCPU(), maxCPUs)
	}
	if o.Name == "" {
		o.Name = "guest"
	}
	return o, nil
}

// firmware names the files of a UEFI firmware.
type firmwareFiles struct {
	code string // mapped read-only
	vars string // template of the variables, copied for each guest
}

// firmwareDirs are where distributions keep UEFI firmware for qemu.
var firmwareDirs = []string{"/usr/share/OVMF", "/usr/share/edk2/ovmf", "/usr/share/edk2/x64", "/usr/share/AAVMF", "/usr/share/edk2/aarch64"}

// firmwareNames lists the pairs of code and variables by preference.
func firmwareNames(a arch.Arch, f Firmware) []firmwareFiles {
	switch {
	case a == arch.AArch64:
		return []firmwareFiles{{"AAVMF_CODE.fd", "AAVMF_VARS.fd"}, {"QEMU_EFI-pflash.raw", "vars-template-pflash.raw"}}
	case f == UEFISecure:
		return []firmwareFiles{{"OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.ms.fd"}, {"OVMF_CODE.secboot.fd", "OVMF_VARS.secboot.fd"}}
	default:
		return []firmwareFiles{{"OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"}, {"OVMF_CODE.fd", "OVMF_VARS.fd"}, {"OVMF_CODE.4m.fd", "OVMF_VARS.4m.fd"}}
	}
}

// findFirmware looks up the firmware's files below dirs.
func findFirmware(a arch.Arch, f Firmware, dirs []string) (firmwareFiles, error) {
	for _, dir := range dirs {
		for _, names := range firmwareNames(a, f) {
			found := firmwareFiles{code: filepath.Join(dir, names.code), vars: filepath.Join(dir, names.vars)}
			if isFile(found.code) && isFile(found.vars) {
				return found, nil
			}
		}
	}
	pkg := "ovmf"
	if a == arch.AArch64 {
		pkg = "qemu-efi-aarch64"
	}
	return firmwareFiles{}, fmt.Errorf("no %s firmware for %s found; on Debian and Ubuntu: apt-get install %s", f, a, pkg)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
