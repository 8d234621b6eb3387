package actiontest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nestos/nosa-actions/internal/workdir"
)

// outputDir is the directory that kola is told to write to.
func outputDir(args []string) string {
	for _, arg := range args {
		if dir, ok := strings.CutPrefix(arg, "--output-dir="); ok {
			return dir
		}
	}
	return ""
}

func test(d *workdir.Dir, args []string, result string) error {
	b, err := d.Latest()
	if err != nil {
		return err
	}
	image, path, err := b.Image("qemu")
	if err != nil {
		return err
	}
	if found, err := workdir.DescribeImage(path); err != nil || found.SHA256 != image.SHA256 {
		return fmt.Errorf("the image is not the one that was made: %w", err)
	}
	output := outputDir(args)
	if err := os.MkdirAll(filepath.Join(output, "reports"), 0o755); err != nil {
		return err
	}
	text, err := json.Marshal(map[string]any{
		"tests": []any{map[string]any{
			"name": foreign(d, "basic"), "result": result, "duration": 5_000_000_000, "output": foreign(d, "what it said"),
		}},
		"result": result, "platform": "qemu",
	})
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(output, "reports", "report.json"), text, 0o644), measure(d, b, output))
}

// measure leaves the measures of this build and those that it was compared with.
func measure(d *workdir.Dir, b workdir.Build, output string) error {
	var m struct {
		Builds []any `json:"builds"`
	}
	before, err := os.ReadFile(filepath.Join(d.Path, workdir.MeasuresFile))
	if err == nil {
		err = json.Unmarshal(before, &m)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	m.Builds = append([]any{map[string]any{"build": b.ID}}, m.Builds...)
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(output, filepath.Base(workdir.MeasuresFile)), text, 0o644)
}
