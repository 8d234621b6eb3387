package job

import (
	"bytes"
	"context"

	"github.com/nestos/nosa-actions/internal/assembler"
	"github.com/nestos/nosa-actions/internal/diag"
)

// Validate checks the config before anything is fetched, so that all that is
// wrong with it is told at its lines at once. Warnings become annotations; errors
// are returned, and become annotations where errors do. An assembler that cannot
// check a config is passed over with a notice.
func (j *Job) Validate(ctx context.Context, variant string) error {
	if variant == "" {
		variant = "default"
	}
	var answer bytes.Buffer
	stage := assembler.Stage{Name: "validate", Args: []string{"--json", "--variant=" + variant}, Output: &answer}
	end := j.Step.Group(stage.String())
	_, failed := j.nosa.Run(ctx, stage)
	end()
	if assembler.UnknownCommand(failed) {
		j.Step.Notice("the assembler has no command validate; the config is checked only as far as each stage reads it")
		return nil
	}
	findings, err := assembler.ParseFindings(answer.Bytes(), j.Config)
	if err != nil {
		if failed != nil { // it had nothing to say but why
			return failed
		}
		return err
	}
	list := diag.List{Findings: findings}
	if err := list.Err(); err != nil {
		return err
	}
	for _, f := range findings {
		j.Step.Finding(f)
	}
	return failed
}
