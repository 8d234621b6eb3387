package test

import (
	"encoding/json"

	"github.com/nestos/nosa-actions/internal/atomicfile"
)

// properties is properties.json of an output directory: what was tested and
// how.
type properties struct {
	Platform string   `json:"platform"`
	Distro   string   `json:"distro"`
	Arch     string   `json:"arch"`
	Build    string   `json:"build,omitzero"`
	Commit   string   `json:"ostree-commit,omitzero"`
	Image    string   `json:"image"`
	Firmware string   `json:"firmware,omitzero"`
	Memory   int      `json:"memory,omitzero"` // MiB
	Patterns []string `json:"patterns,omitzero"`
	Tags     []string `json:"tags,omitzero"`
}

func (t target) record(o Options) properties {
	return properties{
		Platform: o.Platform, Distro: o.Distro, Arch: t.arch.RPM, Build: t.build, Commit: t.commit,
		Image: t.image + t.iso, Firmware: string(o.Firmware), Memory: o.MemoryMiB, Patterns: o.Patterns, Tags: o.Tags,
	}
}

func (p properties) save(path string) error {
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(path, append(data, '\n'), 0o644)
}
