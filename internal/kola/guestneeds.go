package kola

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/machine"
)

// refused says why a test is not run, or "": its config has warnings.
func (s Selected) refused() string {
	if len(s.ConfigWarnings) > 0 && !s.Meta.AllowConfigWarnings {
		return "the config has warnings: " + strings.Join(s.ConfigWarnings, "; ")
	}
	return ""
}

// refused says why the group cannot run, or "": one of its tests is not, or asks
// for what we cannot give, and a test that runs without that proves nothing.
func (t *trial) refused() string {
	for _, m := range t.group.members {
		if why := m.refused(); why != "" {
			return why
		}
		if m.Meta.InjectContainer && t.o.Archive == "" {
			return "injectContainer: there is no OCI archive to inject; name a build that has one"
		}
		if (m.Meta.KernelArgs != "" || m.Meta.FirstbootKernelArgs != "") && t.o.Image == "" {
			return "kernel arguments can be put only into a disk image"
		}
	}
	return ""
}

// machine describes the group's guest: what all its tests ask for.
func (t *trial) machine() (machine.Options, error) {
	o := t.o.Guest
	o.Arch, o.Image, o.Name, o.Firmware = t.o.Arch, t.o.Image, t.group.name, t.o.Firmware
	o.ISO, o.ISOAsDisk = t.o.ISO, t.o.ISOAsDisk
	o.MemoryMiB, o.DiskGiB, o.Offline = t.o.MemoryMiB, t.o.DiskGiB, t.o.Offline
	o.ConsoleFile = filepath.Join(t.dir, "console.txt")
	o.JournalFile = filepath.Join(t.dir, "journal.jsonl")
	o.Disks = slices.Clone(o.Disks)
	var firstboot []string
	for _, m := range t.group.members {
		if m.Meta.KernelArgs != "" {
			o.KernelArgs = m.Meta.KernelArgs // such a test is alone
		}
		if m.Meta.FirstbootKernelArgs != "" {
			firstboot = append(firstboot, m.Meta.FirstbootKernelArgs)
		}
		o.MemoryMiB, o.DiskGiB = max(o.MemoryMiB, m.Meta.MinMemoryMiB), max(o.DiskGiB, m.Meta.MinDiskGiB)
		o.Disks, o.NICs = append(o.Disks, m.Meta.Disks...), max(o.NICs, m.Meta.NICs)
		if m.isScript() {
			fragment, err := m.fragment(t.archivePath(m))
			if err != nil {
				return o, err
			}
			config, err := fragment.Config("the harness's config for " + m.Name)
			if err != nil {
				return o, err
			}
			o.Configs = append(o.Configs, config)
		}
		if len(m.Config.JSON) > 0 {
			o.Configs = append(o.Configs, m.Config)
		}
	}
	o.FirstbootKernelArgs = strings.Join(firstboot, " ")
	o.Configs = append(o.Configs, t.o.Append...)
	merged, _, err := machine.Merge(o.Configs...)
	if err == nil && len(o.Configs) > 0 {
		err = os.WriteFile(filepath.Join(t.dir, "ignition.json"), merged, 0o644)
	}
	return o, err
}

// archivePath is where a test finds the OCI archive in its guest, or "".
func (t *trial) archivePath(m member) string {
	if !m.Meta.InjectContainer {
		return ""
	}
	return "/home/" + machine.User + "/" + filepath.Base(t.o.Archive)
}
