package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/assembler"
	"github.com/nestos/nosa-actions/internal/release"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// exportRepos lets nosa write the OSTree repository of each build beside its images,
// where the release finds it. It needs nothing of the job's secrets.
func exportRepos(ctx context.Context, step *action.Step, o *release.Options) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	host, err := arch.Host()
	if err != nil {
		return err
	}
	for _, path := range o.Dirs {
		dir, err := workdir.Open(path, host)
		if err != nil {
			return err
		}
		builds, err := dir.Arches(o.Build)
		if err != nil {
			return err
		}
		nosa := assembler.Host{
			Runner: tool.Host{}, Binary: filepath.Join(filepath.Dir(self), "nosa"), Workdir: path,
			Log: func(line string) { step.Log("%s", line) },
		}
		for _, b := range builds {
			stage := assembler.Stage{Name: "export-repo", Args: []string{"--arch=" + b.Arch.RPM, "--build=" + b.ID}}
			end := step.Group(stage.String())
			_, err := nosa.Run(ctx, stage)
			end()
			if err != nil {
				return err
			}
		}
	}
	return nil
}
