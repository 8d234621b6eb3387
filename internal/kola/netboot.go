package kola

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nestos/nosa-actions/internal/machine"
	"github.com/nestos/nosa-actions/internal/tool"
)

// network is what a guest starts from without a disk.
type network struct {
	boot   *machine.Netboot
	server *server
}

// netboot makes the directory that TFTP and HTTP serve: the live system's files,
// the configs, and a script for the firmware.
func (r *liveRun) netboot(ctx context.Context, online bool, kargs string, live, target machine.Config) (network, error) {
	dir := filepath.Join(r.scratch, "tftp")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return network{}, err
	}
	for name, path := range map[string]string{"vmlinuz": r.Kernel, "initrd.img": r.Initramfs, "rootfs.img": r.Rootfs} {
		path, err := filepath.Abs(path)
		if err != nil {
			return network{}, err
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			return network{}, err
		}
	}
	for name, config := range map[string]machine.Config{"live.ign": live, "target.ign": target} {
		if err := os.WriteFile(filepath.Join(dir, name), config.JSON, 0o644); err != nil {
			return network{}, err
		}
	}
	s, err := serve(dir)
	if err != nil {
		return network{}, err
	}
	n := network{server: s}
	n.boot, err = r.bootFile(ctx, dir, netKargs{
		url: s.URL, online: online, more: r.consoles() + " " + kargs + " " + r.MoreKargs, appendRootfs: r.AppendRootfs || !online,
	})
	if err != nil {
		s.Close()
	}
	return n, err
}

// netKargs is what the kernel is started with from the network.
type netKargs struct {
	url          string
	online       bool
	appendRootfs bool // as another initrd
	more         string
}

func (k netKargs) String() string {
	args := []string{
		"ignition.firstboot", "ignition.platform.id=metal", "ignition.config.url=" + k.url + "/live.ign",
	}
	if k.online {
		args = append(args, "nestos.inst.ignition_url="+k.url+"/target.ign")
	} else {
		args = append(args, "nestos.inst.ignition_url=file://"+targetFile)
	}
	if !k.appendRootfs {
		args = append(args, "nestos.live.rootfs_url="+k.url+"/rootfs.img")
	}
	return strings.Join(append(args, strings.Fields(k.more)...), " ")
}

// ipxe is the script for the network card's own iPXE, under BIOS.
func (k netKargs) ipxe() string {
	kernel, initrds := "kernel vmlinuz initrd=initrd.img", "initrd initrd.img\n"
	if k.appendRootfs {
		kernel += " initrd=rootfs.img"
		initrds += "initrd " + k.url + "/rootfs.img\n"
	}
	return "#!ipxe\n" + kernel + " " + k.String() + "\n" + initrds + "boot\n"
}

// grub is the script for a GRUB that UEFI loads by TFTP.
func (k netKargs) grub() string {
	host := strings.TrimPrefix(k.url, "http://")
	initrds := "(tftp)/initrd.img"
	if k.appendRootfs {
		initrds += " (http," + host + ")/rootfs.img"
	}
	return "net_bootp\nlinux (tftp)/vmlinuz " + k.String() + "\ninitrd " + initrds + "\nboot\n"
}

// grubModules is what that takes.
var grubModules = []string{"efinet", "net", "tftp", "http", "linux", "normal", "configfile", "echo", "part_gpt"}

// bootFile writes what the firmware loads.
func (r *liveRun) bootFile(ctx context.Context, dir string, k netKargs) (*machine.Netboot, error) {
	if r.scenario.Firmware == machine.BIOS {
		return &machine.Netboot{Dir: dir, File: "boot.ipxe"}, os.WriteFile(filepath.Join(dir, "boot.ipxe"), []byte(k.ipxe()), 0o644)
	}
	script := filepath.Join(r.scratch, "grub.cfg")
	if err := os.WriteFile(script, []byte(k.grub()), 0o644); err != nil {
		return nil, err
	}
	args := []string{"-O", r.Arch.GRUB, "-o", filepath.Join(dir, "boot.efi"), "-c", script, "-p", "(tftp)/grub"}
	if _, err := r.Runner.Run(ctx, tool.Cmd{Name: "grub-mkimage", Args: append(args, grubModules...)}); err != nil {
		return nil, fmt.Errorf("a GRUB to start by the network: %w", err)
	}
	return &machine.Netboot{Dir: dir, File: "boot.efi"}, nil
}
