package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/tool"
)

var (
	shellBlock = regexp.MustCompile("(?ms)^ *```sh\n(.*?)^ *```$")
	nosaLine   = regexp.MustCompile(`(?m)^\s*(?:sudo )?nosa ([a-z][a-z -]*[a-z]|[a-z]+)`)
	makeLine   = regexp.MustCompile(`(?m)^\s*make ([a-z-]+)`)
	flag       = regexp.MustCompile(` (--[a-z][a-z-]*)`)
)

// What the documentation has people type is there: the commands and their flags,
// and the targets of make.
func TestCommandsInTheDocumentationExist(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	require.NoError(t, err)
	count := 0
	for _, pattern := range []string{"../../README.md", "../../docs/*.md", "../../docs/*/*.md", "../../examples/*/*.md"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, block := range shellBlock.FindAllStringSubmatch(string(text), -1) {
				syntax(t, file, block[1])
				for _, match := range makeLine.FindAllStringSubmatch(block[1], -1) {
					require.Contains(t, string(makefile), "\n"+match[1]+":", file)
				}
				for line := range strings.Lines(block[1]) {
					line, _, _ = strings.Cut(line, "#")
					if match := nosaLine.FindStringSubmatch(line); match != nil {
						count++
						command(t, file, line, match[1])
					}
				}
			}
		}
	}
	require.Greater(t, count, 10)
}

func syntax(t *testing.T, file, script string) {
	t.Helper()
	_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "bash", Args: []string{"-n"}, Stdin: strings.NewReader(script)})
	require.NoError(t, err, "%s:\n%s", file, script)
}

// command asks the command's help for the flags of a line.
func command(t *testing.T, file, line, words string) {
	t.Helper()
	name := strings.Fields(words)
	if name[0] == "kola" || name[0] == "release" {
		name = name[:min(2, len(name))]
	} else {
		name = name[:1]
	}
	help, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "nosa", Args: append(name, "--help")})
	require.NoError(t, err, "%s: %s", file, line)
	require.Contains(t, string(help), "nosa "+strings.Join(name, " "), "%s: %s", file, line)
	for _, match := range flag.FindAllStringSubmatch(line, -1) {
		require.Contains(t, string(help), match[1], "%s: %s", file, line)
	}
}
