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
	iso       string   // the same over Options.ISO
	disks     []string // files of Options.Disks
	firmware  firmwareFiles
	ignition  string // config file; empty: none
	qmpSocket string
	sockets   []string // of virtiofsd, one for each of Options.Binds
	tpmSocket string   // of swtpm; empty: no TPM
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
	args = append(args, l.serialPorts()...)
	args = append(args, l.binds()...)
	args = append(args, l.tpmArgs()...)
	if l.NoReboot {
		args = append(args, "-no-reboot")
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
	if l.Saved != nil && l.Saved.running {
		args = append(args, "-loadvm", savedState)
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
		primary := l.Primary
		primary.Serial = "primary-disk"
		args = append(args, primary.attach("primary", l.primary, 1)...)
	}
	args = append(args, l.live()...)
	for i, d := range l.Disks {
		index := 0
		if l.primary == "" && i == 0 { // what an installer filled
			index = 3
		}
		args = append(args, d.attach(fmt.Sprintf("disk%d", i+1), l.disks[i], index)...)
	}
	return args
}

// live attaches the live image.
func (l layout) live() []string {
	if l.iso == "" {
		return nil
	}
	drive := "if=none,id=iso,format=qcow2,readonly=on,file=" + escapeOption(l.iso)
	if l.ISOAsDisk {
		return []string{"-drive", drive, "-device", "virtio-blk-pci,drive=iso,serial=iso,bootindex=2"}
	}
	return []string{"-drive", drive + ",media=cdrom", "-device", "virtio-scsi-pci,id=cd", "-device", "scsi-cd,bus=cd.0,drive=iso,bootindex=2"}
}

// serialPorts are the virtio ports, the journal's among them.
func (l layout) serialPorts() []string {
	ports := l.Ports
	if l.JournalFile != "" {
		ports = append([]Port{{Name: journalPort, File: l.JournalFile}}, ports...)
	}
	if len(ports) == 0 {
		return nil
	}
	args := []string{"-device", "virtio-serial-pci"}
	for i, p := range ports {
		id := "journal"
		if p.Name != journalPort {
			id = fmt.Sprintf("port%d", i)
		}
		args = append(args, "-chardev", "file,id="+id+",path="+escapeOption(p.File),
			"-device", "virtserialport,chardev="+id+",name="+p.Name)
	}
	return args
}

// binds attach the directories of the host that virtiofsd serves. It reads the
// guest's memory, which has to be shared for that.
func (l layout) binds() []string {
	if len(l.sockets) == 0 {
		return nil
	}
	args := []string{
		"-object", fmt.Sprintf("memory-backend-memfd,id=memory,share=on,size=%dM", l.MemoryMiB),
		"-numa", "node,memdev=memory",
	}
	for i, socket := range l.sockets {
		id := fmt.Sprintf("bind%d", i)
		args = append(args, "-chardev", "socket,id="+id+",path="+escapeOption(socket),
			"-device", "vhost-user-fs-pci,chardev="+id+",tag="+id)
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
	card := "virtio-net-pci,netdev=net0"
	if l.Netboot != nil {
		netdev += ",tftp=" + escapeOption(l.Netboot.Dir) + ",bootfile=" + l.Netboot.File
		card += ",bootindex=4"
	}
	args := []string{"-netdev", netdev, "-device", card}
	for i := range l.NICs {
		id := fmt.Sprintf("net%d", i+1)
		args = append(args, "-netdev", "user,id="+id+",restrict=on", "-device", "virtio-net-pci,netdev="+id)
	}
	return args
}
