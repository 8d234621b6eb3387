package actions

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// named is a test as docs/security.md names it: directory and function.
var named = regexp.MustCompile("`([a-z][a-z0-9/_-]*)\\.((?:Test|Fuzz)[A-Za-z0-9_]+)`")

// A promise that no test keeps is a wish.
func TestEveryPromiseNamesItsTests(t *testing.T) {
	data, err := os.ReadFile("../docs/security.md")
	require.NoError(t, err)
	_, promises, found := strings.Cut(string(data), "\n## What guards what\n")
	require.True(t, found)
	promises, _, _ = strings.Cut(promises, "\n## ")
	tests := allTests(t)
	list := strings.Split(promises, "\n- **")[1:]
	require.Greater(t, len(list), 10)
	for _, promise := range list {
		promise, _, _ = strings.Cut(promise, "\n\n")
		require.Regexp(t, named, promise, "this promise names no test")
	}
	all := named.FindAllStringSubmatch(string(data), -1)
	for _, match := range all {
		require.True(t, tests[match[1]+"."+match[2]], "docs/security.md names the test %s.%s, which there is not", match[1], match[2])
	}
	// What only looks like a test's name is not passed over.
	require.Len(t, regexp.MustCompile(`\b(Test|Fuzz)[A-Z]\w+`).FindAllString(string(data), -1), len(all))
}

// allTests are the tests of this repository as DIRECTORY.NAME.
func allTests(t *testing.T) map[string]bool {
	t.Helper()
	tests := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != ".." && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, declared := range file.Decls {
			if f, ok := declared.(*ast.FuncDecl); ok && f.Recv == nil {
				dir, err := filepath.Rel("..", filepath.Dir(path))
				if err != nil {
					return err
				}
				tests[dir+"."+f.Name.Name] = true
			}
		}
		return nil
	})
	require.NoError(t, err)
	return tests
}
