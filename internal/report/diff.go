package report

import (
	"encoding/json"
	"fmt"
	"strings"
)

// The types of a package difference in meta.json.
var changeNames = map[int]string{0: "Added", 1: "Removed", 2: "Upgraded", 3: "Downgraded"}

// details name the package before and after: [name, epoch:version-release, arch].
type details struct {
	Previous []string `json:"PreviousPackage"`
	New      []string `json:"NewPackage"`
}

// diff is a section with the packages that changed. Entries that cannot be read
// are counted, not hidden.
func diff(entries []json.RawMessage) string {
	if len(entries) == 0 {
		return "\n#### Packages\n\nNo package changed.\n"
	}
	var rows [][]string
	unknown := 0
	for _, raw := range entries {
		row, ok := change(raw)
		if !ok {
			unknown++
			continue
		}
		rows = append(rows, row)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "\n#### Packages: %d changed\n\n", len(entries))
	out.WriteString(table([]string{"Package", "Change", "Before", "Now"}, rows))
	if unknown > 0 {
		fmt.Fprintf(&out, "\n%d entries could not be read\n", unknown)
	}
	return out.String()
}

func change(raw json.RawMessage) ([]string, bool) {
	var name string
	var kind int
	var d details
	if err := json.Unmarshal(raw, &[]any{&name, &kind, &d}); err != nil {
		return nil, false
	}
	what, ok := changeNames[kind]
	if !ok || name == "" {
		return nil, false
	}
	return []string{Text(name), what, Text(version(d.Previous)), Text(version(d.New))}, true
}

func version(pkg []string) string {
	if len(pkg) < 2 {
		return ""
	}
	return pkg[1]
}
