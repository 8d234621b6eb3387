package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Known is what is known of a build to compare another one with.
type Known struct {
	BuildID  string            `json:"build"`
	Commit   string            `json:"commit"`
	Packages map[string]string `json:"packages"` // name.arch -> [epoch:]version-release
	Images   map[string]int64  `json:"images"`   // artifact -> bytes
}

// Compare is a section on what differs between a build, which is named in plain
// words, and this one.
func Compare(since string, before, now Known) string {
	var out strings.Builder
	fmt.Fprintf(&out, "\n#### Since %s\n\n", Text(since))
	if before.Commit == now.Commit && now.Commit != "" {
		out.WriteString("The commit is the same.\n")
		return out.String()
	}
	rows := changes(before.Packages, now.Packages)
	if len(rows) == 0 {
		out.WriteString("No package changed.\n")
	}
	out.WriteString(table([]string{"Package", "Change", "Before", "Now"}, rows))
	out.WriteString(sizes(before.Images, now.Images))
	return out.String()
}

// CompareImages is a section on how the sizes of images, in bytes, differ from those of
// a build, which is named in plain words; "" if it had none of them.
func CompareImages(since string, before, now map[string]int64) string {
	if rows := sizes(before, now); rows != "" {
		return "\n#### Since " + Text(since) + "\n" + rows
	}
	return ""
}

// changes are the rows of a table of packages, by name, that differ.
func changes(before, now map[string]string) [][]string {
	all := maps.Clone(before)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, now)
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		old, was := before[name]
		is, there := now[name]
		if old == is && was == there {
			continue
		}
		rows = append(rows, []string{Text(name), changeOf(old, is), Text(old), Text(is)})
	}
	return rows
}

// sizes is a table of the artifacts that both builds have, "" if there are none.
func sizes(before, now map[string]int64) string {
	var rows [][]string
	for _, name := range sortedKeys(now) {
		old, is := before[name], now[name]
		if old <= 0 || is <= 0 {
			continue
		}
		rows = append(rows, []string{Text(name), Size(old), Size(is), fmt.Sprintf("%+.1f %%", 100*(float64(is)/float64(old)-1))})
	}
	if len(rows) == 0 {
		return ""
	}
	return "\n" + table([]string{"Artifact", "Before", "Now", "Change"}, rows)
}
