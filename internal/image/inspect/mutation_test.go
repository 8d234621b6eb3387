package inspect_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/image/imagetest"
)

// Where things lie on the image, in bytes.
const (
	mib     = 1 << 20
	coreAt  = 1 * mib
	espAt   = 2 * mib
	bootAt  = 129 * mib
	rootAt  = 513 * mib
	diskEnd = 2 << 30
)

// patient is a copy of the good image, which the field's own tools damage.
type patient struct {
	t          *testing.T
	path       string
	dir        string
	commit     string
	deployment string
	kernel     string // directory of the boot partition
}

func (p patient) run(name string, args ...string) string { return imagetest.Host(p.t, name, args...) }
func (p patient) sgdisk(args ...string)                  { p.run("sgdisk", append(args, p.path)...) }

// zero overwrites so many bytes.
func (p patient) zero(at, size int64) {
	p.run("dd", "if=/dev/zero", "of="+p.path, "bs=1", "conv=notrunc", "status=none", fmt.Sprint("seek=", at), fmt.Sprint("count=", size))
}

// put overwrites bytes.
func (p patient) put(at int64, text string) {
	p.run("dd", "if="+p.file(text), "of="+p.path, "bs=1", "conv=notrunc", "status=none", fmt.Sprint("seek=", at))
}

// longBackup lets the copy of the partition table claim more than there can be,
// with the checksum that it has to have.
func (p patient) longBackup() {
	f, err := os.OpenFile(p.path, os.O_RDWR, 0)
	require.NoError(p.t, err)
	defer f.Close()
	head := make([]byte, 92)
	_, err = f.ReadAt(head, diskEnd-512)
	require.NoError(p.t, err)
	clear(head[16:20])
	copy(head[80:88], "\xff\xff\xff\xff\xff\xff\xff\xff")
	binary.LittleEndian.PutUint32(head[16:], crc32.ChecksumIEEE(head))
	_, err = f.WriteAt(head, diskEnd-512)
	require.NoError(p.t, err)
}

// file is a file of this machine with some text.
func (p patient) file(text string) string {
	path := filepath.Join(p.dir, fmt.Sprint("file", len(text)))
	require.NoError(p.t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

// debugfs runs commands over a file system.
func (p patient) debugfs(at int, commands ...string) {
	script := filepath.Join(p.dir, "commands")
	require.NoError(p.t, os.WriteFile(script, []byte(strings.Join(commands, "\n")+"\n"), 0o644))
	p.run("debugfs", "-w", "-f", script, fmt.Sprintf("%s?offset=%d", p.path, at))
}

func (p patient) boot(commands ...string) { p.debugfs(bootAt, commands...) }
func (p patient) root(commands ...string) { p.debugfs(rootAt, commands...) }

func (p patient) cat(at int, path string) string {
	return p.run("debugfs", "-R", "cat "+path, fmt.Sprintf("%s?offset=%d", p.path, at)) + "\n"
}

// replace puts other text into a file, or a new file in its place.
func (p patient) replace(at int, dir, name, text string) {
	p.debugfs(at, "cd "+dir+"/.", "rm "+name, "write "+p.file(text)+" "+name)
}

const entryDir, entryName = "/loader/entries", "ostree-1-nestos.conf"

// entry changes the boot entry, and the other menu with it.
func (p patient) entry(from, to string) {
	for dir, name := range map[string]string{entryDir: entryName, "/loader": "syslinux.cfg"} {
		text := p.cat(bootAt, dir+"/"+name)
		require.Contains(p.t, text, from)
		p.replace(bootAt, dir, name, strings.Replace(text, from, to, 1))
	}
}

// esp is the EFI partition as mtools takes it.
func (p patient) esp() string { return fmt.Sprintf("%s@@%d", p.path, espAt) }

// inDeployment puts a file into the deployment.
func (p patient) inDeployment(dir, name, text string) {
	p.replace(rootAt, p.deployment+dir, name, text)
}

// mutations are defects as they happen, each with the words that name it.
var mutations = []struct {
	name   string
	damage func(p patient)
	want   string
}{
	// The partition table.
	{"disk GUID", func(p patient) { p.sgdisk("-U", "R") }, "partition table: the disk GUID is "},
	{"partition name", func(p patient) { p.sgdisk("-c", "3:bott") }, `partition table: partition 3 is called "bott" instead of "boot"`},
	{"ESP type", func(p patient) { p.sgdisk("-t", "2:8300") }, "partition table: partition 2 (EFI-SYSTEM) is of type 0FC63DAF"},
	{"BIOS boot type", func(p patient) { p.sgdisk("-t", "1:8300") }, "partition table: partition 1 (BIOS-BOOT) is of type 0FC63DAF"},
	{"ESP gone", func(p patient) { p.sgdisk("-d", "2") }, "partition table: partition 2 (EFI-SYSTEM) is missing"},
	{"first table", func(p patient) { p.zero(512+16, 4) }, "partition table: the first copy is damaged"},
	{"second table", func(p patient) { p.zero(diskEnd-512, 512) }, "partition table: there is no copy at the end of the disk"},
	{"second list", func(p patient) { p.zero(diskEnd-512-32*512, 16) }, "partition table: the copy at the end of the disk lists other partitions"},
	{"second header", patient.longBackup, "partition table: the copy at the end of the disk is too long"},
	{"protective MBR", func(p patient) { p.zero(446, 66) }, "partition table: the protective MBR is missing"},
	{"equal GUIDs", func(p patient) {
		p.sgdisk("-u", "3:11111111-2222-4333-8444-555555555555", "-u", "4:11111111-2222-4333-8444-555555555555")
	}, "partition table: partitions 3 and 4 have the same GUID"},
	{"cut short", func(p patient) { p.run("truncate", "-s", "530M", p.path) }, "bytes beyond the disk"},
	{"root partition too small", func(p patient) {
		p.sgdisk("-d", "4", "-n", "4:1050624:+8M", "-t", "4:8300", "-c", "4:root")
	}, "root: the file system takes "},
	// The loader for BIOS.
	{"no boot code", func(p patient) { p.zero(0, 440) }, "boot sector: there is no boot code"},
	{"other boot code", func(p patient) { p.put(0x170, strings.Repeat("x", 60)) }, "boot sector: the boot code is not GRUB's"},
	{"boot code leads astray", func(p patient) { p.put(0x5c, "\x22") }, "boot sector: the boot code loads sector 2082"},
	{"no core image", func(p patient) { p.zero(coreAt, 100_000) }, "BIOS-BOOT: there is no core image"},
	{"core image list", func(p patient) { p.put(coreAt+500, "\x99\x99") }, "BIOS-BOOT: the core image says that "},
	{"core image cut short", func(p patient) { p.zero(coreAt+20*512, 4096) }, "BIOS-BOOT: the core image has nothing but zeros"},
	// The loader for UEFI.
	{"ESP label", func(p patient) { p.run("mlabel", "-i", p.esp(), "::WRONG") }, `EFI-SYSTEM: the label is "WRONG"`},
	{"no EFI loader", func(p patient) { p.run("mdel", "-i", p.esp(), "::EFI/BOOT/BOOTX64.EFI") }, "EFI-SYSTEM: the loader /EFI/BOOT/BOOTX64.EFI is missing"},
	{"no EFI program", func(p patient) {
		p.run("mcopy", "-o", "-i", p.esp(), p.file("text"), "::EFI/BOOT/BOOTX64.EFI")
	}, "EFI-SYSTEM:/EFI/BOOT/BOOTX64.EFI: is no EFI program"},
	{"EFI loader cut short", func(p patient) {
		whole := filepath.Join(p.dir, "whole")
		p.run("mcopy", "-i", p.esp(), "::EFI/BOOT/BOOTX64.EFI", whole)
		p.run("truncate", "-s", "40000", whole)
		p.run("mcopy", "-o", "-i", p.esp(), whole, "::EFI/BOOT/BOOTX64.EFI")
	}, "EFI-SYSTEM:/EFI/BOOT/BOOTX64.EFI: is cut short"},
	{"no stub", func(p patient) { p.run("mdel", "-i", p.esp(), "::EFI/nestos/grub.cfg") }, "EFI-SYSTEM: there is no grub.cfg beside a loader"},
	{"stub leads astray", func(p patient) {
		p.run("mcopy", "-o", "-i", p.esp(), p.file("search --label other\nconfigfile x\n"), "::EFI/nestos/grub.cfg")
	}, "EFI-SYSTEM:/EFI/nestos/grub.cfg: does not search for the boot file system by its label boot"},
	{"ESP wiped", func(p patient) { p.zero(espAt, 4096) }, "EFI-SYSTEM: there is no file system; it should be vfat"},
	// The boot file system.
	{"boot label", func(p patient) { p.boot("ssv volume_name bott") }, `boot: the label is "bott" instead of "boot"`},
	{"boot UUID", func(p patient) { p.boot("ssv uuid 11111111-2222-4333-8444-555555555555") }, "boot: the UUID is 11111111-"},
	{"boot superblock", func(p patient) { p.put(bootAt+1024+0x10, "\xee") }, "boot: the ext4 file system is damaged: the superblock's checksum is wrong"},
	{"boot not unmounted", func(p patient) { p.boot("ssv state 2") }, "boot: the file system was not unmounted properly"},
	{"no loader link", func(p patient) { p.boot("unlink /loader") }, "boot:/loader: is missing"},
	{"no entry", func(p patient) { p.boot("rm " + entryDir[:7] + ".1/entries/" + entryName) }, "boot:/loader/entries: there is no boot entry"},
	{"second entry", func(p patient) {
		p.boot("cd /loader/entries/.", "write "+p.file("linux /x\n")+" ostree-2-nestos.conf")
	}, "boot:/loader/entries: there are 2 boot entries instead of one"},
	{"entry unreadable", func(p patient) { p.replace(bootAt, entryDir, entryName, "title only\n") }, "boot entry names no kernel"},
	{"no kernel", func(p patient) { p.boot("rm " + p.kernel + "/vmlinuz-6.1.0-tiny") }, "vmlinuz-6.1.0-tiny: is missing"},
	{"other initramfs", func(p patient) {
		p.replace(bootAt, p.kernel, "initramfs-6.1.0-tiny.img", "other")
	}, "initramfs-6.1.0-tiny.img: differs from the deployment's /usr/lib/modules/6.1.0-tiny/initramfs.img"},
	{"initramfs empty", func(p patient) { p.replace(bootAt, p.kernel, "initramfs-6.1.0-tiny.img", "") }, "initramfs-6.1.0-tiny.img: is empty"},
	{"kernel is text", func(p patient) { p.replace(bootAt, p.kernel, "vmlinuz-6.1.0-tiny", "text") }, "vmlinuz-6.1.0-tiny: is no Linux kernel"},
	{"boot checksum", func(p patient) {
		p.replace(bootAt, p.kernel, "vmlinuz-6.1.0-tiny", strings.Repeat("x", 5000))
	}, "kernel and initramfs have not the checksum that the directory is named by"},
	{"other menu", func(p patient) {
		text := p.cat(bootAt, "/loader/syslinux.cfg")
		p.replace(bootAt, "/loader", "syslinux.cfg", strings.Replace(text, "mitigations=auto,nosmt", "quiet", 1))
	}, "boot:/loader/syslinux.cfg: has other kernel arguments than the boot entry"},
	// Kernel arguments and GRUB.
	{"platform", func(p patient) { p.entry("ignition.platform.id=qemu", "ignition.platform.id=metal") }, ".conf:3: the kernel argument ignition.platform.id is metal instead of qemu"},
	{"no platform", func(p patient) { p.entry("ignition.platform.id=qemu ", "") }, "the kernel argument ignition.platform.id is missing"},
	{"no first boot argument", func(p patient) { p.entry("$ignition_firstboot ", "") }, "the kernel argument $ignition_firstboot, which GRUB expands, is missing"},
	{"first boot for good", func(p patient) { p.entry("$ignition_firstboot", "$ignition_firstboot ignition.firstboot") }, "Ignition would run on every boot"},
	{"ostree argument", func(p patient) { p.entry("ostree=/ostree/boot.1/", "ostree=/ostree/boot.7/") }, "leads nowhere: root:/ostree/boot.7/"},
	{"root argument", func(p patient) { p.entry("$ignition_firstboot", "$ignition_firstboot root=/dev/vda4") }, "the kernel argument root=/dev/vda4 is written by the first boot"},
	{"console argument", func(p patient) { p.entry("console=ttyS0,115200n8 ", "") }, "the console arguments are [console=tty0] instead of [console=tty0 console=ttyS0,115200n8]"},
	{"extra argument", func(p patient) { p.entry("mitigations=auto,nosmt ", "") }, "the kernel argument mitigations=auto,nosmt of image.yaml is missing"},
	{"no grub.cfg", func(p patient) { p.boot("rm /grub2/grub.cfg") }, "boot:/grub2/grub.cfg: is missing"},
	{"console settings", func(p patient) {
		text := p.cat(bootAt, "/grub2/grub.cfg")
		p.replace(bootAt, "/grub2", "grub.cfg", strings.Replace(text, "serial --speed=115200\n", "", 1))
	}, "boot:/grub2/grub.cfg: the console settings are ["},
	{"grub.cfg edited", func(p patient) {
		text := p.cat(bootAt, "/grub2/grub.cfg")
		p.replace(bootAt, "/grub2", "grub.cfg", strings.Replace(text, "set timeout=1\n", "set timeout=-1\n", 1))
	}, "differs from the script that the image was configured with"},
	{"grub2 mode", func(p patient) { p.boot("sif /grub2 mode 040755") }, "boot:/grub2: has the mode 0755 instead of 0700"},
	{"no platforms table", func(p patient) { p.boot("rm /nestos/platforms.json") }, "boot:/nestos/platforms.json: is missing"},
	{"other platforms table", func(p patient) { p.replace(bootAt, "/nestos", "platforms.json", "{}\n") }, "boot:/nestos/platforms.json: differs from platforms.yaml of the build"},
	// The first boot.
	{"no stamp", func(p patient) { p.boot("rm /ignition.firstboot") }, "boot:/ignition.firstboot: the stamp of the first boot is missing"},
	{"stamp with text", func(p patient) { p.replace(bootAt, "", "ignition.firstboot", "set x=y\n") }, "boot:/ignition.firstboot: is not empty"},
	{"Ignition config left", func(p patient) {
		p.boot("mkdir /ignition", "cd /ignition", "write "+p.file("{}")+" config.ign")
	}, "boot:/ignition/config.ign: is an Ignition config that every machine would get"},
	{"was booted", func(p patient) { p.boot("cd /grub2", "write "+p.file("set BOOT_UUID=1\n")+" bootuuid.cfg") }, "boot:/grub2/bootuuid.cfg: is what the first boot writes"},
	// The physical root.
	{"root label", func(p patient) { p.root("ssv volume_name toor") }, `root: the label is "toor"`},
	{"root UUID", func(p patient) { p.root("ssv uuid 11111111-2222-4333-8444-555555555555") }, "root: the UUID is 11111111-"},
	{"root writable", func(p patient) { p.root("sif / flags 0x80000") }, "root:/: is not immutable"},
	{"deployment writable", func(p patient) { p.root("sif " + p.deployment + " flags 0x80000") }, ".0: is not immutable"},
	{"no aleph", func(p patient) { p.root("rm /.nestos-aleph-version.json") }, "root:/.nestos-aleph-version.json: is missing"},
	{"other aleph", func(p patient) {
		p.replace(rootAt, "", ".nestos-aleph-version.json", `{"build": "0.9", "ref": "x", "ostree-commit": "y", "imgid": "z"}`)
	}, `root:/.nestos-aleph-version.json: build is "0.9" instead of "1.0"`},
	{"no origin", func(p patient) { p.root("rm " + p.deployment + ".origin") }, ".origin: is missing"},
	{"other origin", func(p patient) {
		dir, name := filepath.Split(p.deployment)
		p.replace(rootAt, strings.TrimSuffix(dir, "/"), name+".origin", "[origin]\nrefspec=other:branch\n")
	}, `the refspec is "other:branch"; the build's ref is`},
	{"sysroot writable", func(p patient) {
		p.replace(rootAt, "/ostree/repo", "config", strings.Replace(p.cat(rootAt, "/ostree/repo/config"), "readonly=true", "readonly=false", 1))
	}, `root:/ostree/repo/config: sysroot.readonly is "false" instead of true`},
	{"boot link", func(p patient) { p.root("unlink /ostree/boot.1") }, "root:/ostree/boot.1: is missing"},
	{"stray file", func(p patient) { p.root("write " + p.file("core dump") + " core") }, "root:/core: does not belong into the physical root"},
	{"commit object", func(p patient) {
		p.replace(rootAt, "/ostree/repo/objects/"+p.commit[:2], p.commit[2:]+".commit", "junk")
	}, "the commit object cannot be read"},
	// The deployment.
	{"second deployment", func(p patient) { p.root("mkdir " + filepath.Dir(p.deployment) + "/" + strings.Repeat("f", 64) + ".0") }, "there are 2 deployments instead of one"},
	{"file changed", func(p patient) { p.inDeployment("/usr/bin", "tool", "#!/bin/sh\nevil\n") }, "deployment:/usr/bin/tool: is not as the commit has it"},
	{"setuid lost", func(p patient) { p.root("sif " + p.deployment + "/usr/bin/tool mode 0100755") }, "deployment:/usr/bin/tool: is not as the commit has it"},
	{"file lost", func(p patient) { p.root("unlink " + p.deployment + "/usr/bin/tool") }, "deployment:/usr/bin/tool: is missing; the commit has it"},
	{"file added", func(p patient) { p.inDeployment("/usr/bin", "backdoor", "x") }, "deployment:/usr/bin/backdoor: is not in the commit"},
	{"directory mode", func(p patient) { p.root("sif " + p.deployment + "/usr/bin mode 040777") }, "deployment:/usr/bin: is 0777 0:0; the commit has 0755 0:0"},
	{"no os-release", func(p patient) { p.root("unlink " + p.deployment + "/usr/lib/os-release") }, "deployment:/usr/lib/os-release: is missing"},
	{"package database", func(p patient) { p.inDeployment("/usr/share/rpm", "rpmdb.sqlite", strings.Repeat("junk", 5000)) }, "deployment:/usr/share/rpm/rpmdb.sqlite: "},
	{"no package database", func(p patient) { p.root("unlink " + p.deployment + "/usr/share/rpm/rpmdb.sqlite") }, "there is no package database; the commit lists 1 packages"},
	{"image config", func(p patient) { p.inDeployment("/usr/share/coreos-assembler", "image.json", "{}") }, "image.json: is not the configuration that the build was made with"},
	// What belongs to one machine alone.
	{"machine id", func(p patient) { p.inDeployment("/etc", "machine-id", strings.Repeat("a", 32)+"\n") }, "deployment:/etc/machine-id: is set"},
	{"host key", func(p patient) { p.inDeployment("/etc/ssh", "ssh_host_ed25519_key", "key") }, "deployment:/etc/ssh/ssh_host_ed25519_key: is a host key"},
	{"fstab", func(p patient) { p.inDeployment("/etc", "fstab", "# none\n/dev/sda1 /data ext4 defaults 0 0\n") }, "deployment:/etc/fstab:2: mounts /dev/sda1"},
	{"password", func(p patient) { p.inDeployment("/etc", "shadow", "root:$6$salt$hash:19000:0:99999:7:::\n") }, "deployment:/etc/shadow:1: the account root has a password"},
	{"no password", func(p patient) { p.inDeployment("/etc", "shadow", "root::19000:0:99999:7:::\n") }, "deployment:/etc/shadow:1: the account root has an empty password"},
	{"configuration edited", func(p patient) { p.inDeployment("/etc", "hostname", "mine\n") }, "deployment:/etc/hostname: differs from /usr/etc"},
	{"random seed", func(p patient) {
		v := "/ostree/deploy/nestos/var/lib"
		p.root("mkdir "+v, "mkdir "+v+"/systemd", "cd "+v+"/systemd", "write "+p.file("seed")+" random-seed")
	}, "is a random seed, which every machine would begin with"},
	{"a circle of directories", func(p patient) {
		for _, etc := range []string{"/etc", "/usr/etc"} {
			p.root("ln " + p.deployment + etc + " " + p.deployment + etc + "/circle")
		}
	}, "deployment:/usr/etc/circle: is not in the commit"},
	{"no etc", func(p patient) { p.root("unlink " + p.deployment + "/etc") }, "deployment:/etc: is missing"},
}

func TestDefectsAreFoundAndNamed(t *testing.T) {
	b := small(t)
	good := filepath.Join(t.TempDir(), "good")
	imagetest.Host(t, "qemu-img", "convert", "-f", "qcow2", "-O", "raw", filepath.Join(b.dir, "qemu"), good)
	records := b.of(image.QEMU)
	kernel := filepath.Dir(look(t, good, records).Entries[0].Kernel)
	require.GreaterOrEqual(t, len(mutations), 40)
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			p := patient{
				t: t, dir: dir, path: filepath.Join(dir, "disk"), commit: records.Commit, kernel: kernel,
				deployment: "/ostree/deploy/nestos/deploy/" + records.Commit + ".0",
			}
			imagetest.Host(t, "cp", "--sparse=always", "--reflink=auto", good, p.path)
			m.damage(p)
			require.Contains(t, defects(look(t, p.path, records)), m.want)
		})
	}
}
