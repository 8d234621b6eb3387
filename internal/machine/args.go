package machine

import (
	"fmt"
	"strconv"

	"github.com/nestos/nosa-actions/internal/arch"
)

// layout is everything a guest's command line is made of, with all files in
// their final places.
type layout struct {
	Options
	accel     Accel
	uuid      string
	primary   string   // overlay; empty: no primary disk
	disks     []string // files of Options.Disks
	firmware  firmwareFiles
	ignition  string // config file; empty: none
	qmpSocket string
}

// args is the guest's command line without the program.
func (l layout) args() []string {
	args := []string{
		"-name", l.Name, "-uuid", l.uuid,
		"-nodefaults", "-no-user-config", "-display", "none",
	}
	args = append(args, l.machine()...)
	args = append(args,
		"-smp", strconv.Itoa(l.CPUs), "-m", strconv.Itoa(l.MemoryMiB),
		"-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng",
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
		"-chardev", "socket,id=qmp,server=on,wait=off,path="+escapeOption(l.qmpSocket),
		"-mon", "chardev=qmp,mode=control",
	)
	args = append(args, l.storage()...)
	args = append(args, l.network()...)
	if l.JournalFile != "" {
		args = append(args, "-device", "virtio-serial-pci",
			"-chardev", "file,id=journal,path="+escapeOption(l.JournalFile),
			"-device", "virtserialport,chardev=journal,name="+journalPort)
	}
	if l.ignition != "" {
		args = append(args, "-fw_cfg", "name=opt/com.coreos/config,file="+escapeOption(l.ignition))
	}
	if l.Kernel != "" {
		args = append(args, "-kernel", l.Kernel, "-append", l.Cmdline)
		if l.Initrd != "" {
			args = append(args, "-initrd", l.Initrd)
		}
	}
	return append(args, l.ExtraArgs...)
}

func (l layout) machine() []string {
	machine := "q35"
	if l.Arch == arch.AArch64 {
		machine = "virt,gic-version=max"
	}
	var secure []string
	if l.Firmware == UEFISecure {
		// The variables can be protected only by system management mode.
		machine += ",smm=on"
		secure = []string{"-global", "driver=cfi.pflash01,property=secure,value=on"}
	}
	accel, cpu := "tcg,thread=multi", emulatedCPU(l.Arch)
	if l.accel.KVM {
		accel, cpu = "kvm", "host"
	}
	return append([]string{"-machine", machine, "-accel", accel, "-cpu", cpu}, secure...)
}

// emulatedCPU is the processor model under emulation: on x86 the second level of
// the architecture (x86-64-v2), which distributions of today are built for, and
// no more. What lies above makes a guest slower, since it is emulated. The model
// is AMD's, for the kernel gives guests on Intel's of that age separate page
// tables, and then every system call empties the emulator's cache of addresses.
func emulatedCPU(a arch.Arch) string {
	if a == arch.X86_64 {
		return "qemu64,svm=off,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16,+lahf_lm"
	}
	return "max"
}

func (l layout) storage() []string {
	var args []string
	if l.firmware.code != "" {
		args = append(args,
			"-drive", "if=pflash,unit=0,format=raw,readonly=on,file="+escapeOption(l.firmware.code),
			"-drive", "if=pflash,unit=1,format=raw,file="+escapeOption(l.firmware.vars))
	}
	if l.primary != "" {
		// The overlay lives no longer than the guest: nothing needs flushing.
		args = append(args,
			"-drive", "if=none,id=primary,format=qcow2,cache=unsafe,discard=unmap,file="+escapeOption(l.primary),
			"-device", "virtio-blk-pci,drive=primary,serial=primary-disk,bootindex=1")
	}
	for i, d := range l.Disks {
		args = append(args, d.attach(fmt.Sprintf("disk%d", i+1), l.disks[i])...)
	}
	return args
}

// network forwards a port of the loopback interface, chosen by the kernel so
// that guests never compete for one, to the guest's sshd.
func (l layout) network() []string {
	netdev := "user,id=net0,hostfwd=tcp:127.0.0.1:0-:22"
	if l.Offline {
		netdev += ",restrict=on"
	}
	args := []string{"-netdev", netdev, "-device", "virtio-net-pci,netdev=net0"}
	for i := range l.NICs {
		id := fmt.Sprintf("net%d", i+1)
		args = append(args, "-netdev", "user,id="+id+",restrict=on", "-device", "virtio-net-pci,netdev="+id)
	}
	return args
}
