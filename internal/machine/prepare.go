package machine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/image/live"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
)

func (g *Guest) prepareDisks(ctx context.Context, r tool.Runner, l *layout) error {
	if l.Saved != nil {
		l.primary = filepath.Join(g.scratch, "primary.qcow2")
		if err := l.Saved.copyTo(ctx, r, l.primary); err != nil {
			return err
		}
	} else if l.Image != "" {
		l.primary = filepath.Join(g.scratch, "primary.qcow2")
		if err := overlay(ctx, r, l.Image, l.primary, l.DiskGiB); err != nil {
			return err
		}
	}
	for i, d := range l.Disks {
		if d.File != "" {
			l.disks = append(l.disks, d.File)
			continue
		}
		path := filepath.Join(g.scratch, fmt.Sprintf("disk%d.qcow2", i+1))
		if err := CreateDisk(ctx, r, path, d.GiB); err != nil {
			return fmt.Errorf("additional disk %d: %w", i+1, err)
		}
		l.disks = append(l.disks, path)
	}
	if l.Firmware == BIOS {
		return nil
	}
	files, err := findFirmware(l.Arch, l.Firmware, firmwareDirs)
	if err != nil {
		return err
	}
	vars, err := os.ReadFile(files.vars)
	if err != nil {
		return err
	}
	l.firmware = firmwareFiles{code: files.code, vars: filepath.Join(g.scratch, "vars.fd")}
	return os.WriteFile(l.firmware.vars, vars, 0o600)
}

// prepareIgnition makes the config, nil for none.
func (g *Guest) prepareIgnition(log *progress.Log, l *layout) (config []byte, err error) {
	switch {
	case l.Bare:
		return nil, nil
	case l.Saved != nil:
		g.signer, g.config = l.Saved.signer, l.Saved.config
		return g.config, nil
	}
	signer, authorized, err := newKey()
	if err != nil {
		return nil, err
	}
	g.signer = signer
	configs := l.Configs
	if !l.Direct {
		own, err := l.fragment(authorized).Config("the guest's own config")
		if err != nil {
			return nil, err
		}
		configs = append([]Config{own}, l.Configs...)
	}
	merged, warnings, err := Merge(configs...)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		log.Notef("%s", w)
	}
	if l.Direct {
		merged = l.Configs[0].JSON
	}
	g.config = merged
	return merged, nil
}

// handOver gives the guest its config, and its disk what belongs there before
// the first start.
func (g *Guest) handOver(ctx context.Context, r tool.Runner, l *layout, config []byte) error {
	if l.ISO != "" {
		return g.prepareISO(ctx, r, l, config)
	}
	edit := bootEdit{kargs: l.KernelArgs, firstboot: l.FirstbootKernelArgs}
	if l.InjectIgnition {
		edit.config = config
	} else if config != nil {
		l.ignition = filepath.Join(g.scratch, "config.ign")
		if err := os.WriteFile(l.ignition, config, 0o600); err != nil {
			return err
		}
	}
	if edit.empty() {
		return nil
	}
	return editBoot(ctx, r, l.primary, g.scratch, edit)
}

// prepareISO makes a throwaway disk over the live image, with the config and the
// kernel arguments in the places that it has for them.
func (g *Guest) prepareISO(ctx context.Context, r tool.Runner, l *layout, config []byte) error {
	patches, err := live.Patches(ctx, r, l.ISO, live.Custom{Ignition: config, Kargs: l.KernelArgs, NoElTorito: l.ISOAsDisk})
	if err != nil {
		return err
	}
	l.iso = filepath.Join(g.scratch, "iso.qcow2")
	if err := overlay(ctx, r, l.ISO, l.iso, 0); err != nil {
		return err
	}
	for _, p := range patches {
		if err := overwrite(ctx, r, l.iso, g.scratch, p.Offset, p.Content); err != nil {
			return err
		}
	}
	return nil
}
