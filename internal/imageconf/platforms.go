package imageconf

import (
	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/document"
)

// Platforms is the console table: by architecture, in rpm's name, and platform
// id. Both levels may lack an entry, which means no console settings.
type Platforms map[string]map[string]Console

// Console is how one platform shows its console.
type Console struct {
	GrubCommands    []string `json:"grub_commands,omitempty"`    // lines of a GRUB script
	KernelArguments []string `json:"kernel_arguments,omitempty"` // in their order
}

// Console is the entry for an architecture and platform, empty if there is
// none.
func (p Platforms) Console(arch, platform string) Console { return p[arch][platform] }

// LoadPlatforms reads platforms.yaml. What is wrong with its content comes back
// as *diag.Errors with every finding.
func LoadPlatforms(path string) (Platforms, error) {
	n, err := document.Load(path)
	if err != nil {
		return nil, err
	}
	return decodePlatforms(n)
}

func decodePlatforms(n document.Node) (Platforms, error) {
	var found diag.List
	platforms := Platforms{}
	if n.Kind != document.Null && n.Expect(&found, document.Map) {
		for _, a := range n.Fields {
			platforms[a.Key] = decodeArch(a.Value, &found)
		}
	}
	if err := found.Err(); err != nil {
		return nil, err
	}
	return platforms, nil
}

func decodeArch(n document.Node, found *diag.List) map[string]Console {
	table := map[string]Console{}
	if n.Kind == document.Null || !n.Expect(found, document.Map) {
		return table
	}
	for _, f := range n.Fields {
		table[f.Key] = decodeConsole(f.Value, found)
	}
	return table
}

func decodeConsole(n document.Node, found *diag.List) Console {
	var c Console
	if n.Kind == document.Null || !n.KnownKeys(found, "grub_commands", "kernel_arguments") {
		return c
	}
	if list, ok := n.Get("grub_commands"); ok && list.Kind != document.Null {
		c.GrubCommands, _ = list.AsStrings(found)
	}
	if list, ok := n.Get("kernel_arguments"); ok && list.Kind != document.Null {
		c.KernelArguments, _ = list.AsStrings(found)
	}
	return c
}
