package release

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed join.sh
var joinScript string

// script is the join script with the files of this release in it. All names are
// of letters that mean nothing to a shell.
func script(files []*file, l limits) string {
	var table strings.Builder
	for _, f := range files {
		if len(f.parts) == 0 {
			continue
		}
		fmt.Fprintf(&table, "%s %s", f.sha256, f.name)
		for _, s := range sections(f.name, f.path, "", f.digest, l) {
			fmt.Fprintf(&table, " %s", s.Name)
		}
		table.WriteString("\n")
	}
	return strings.Replace(joinScript, "@TABLE@\n", table.String(), 1)
}
