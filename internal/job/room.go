package job

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/nestos/nosa-actions/internal/assembler"
	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/plan"
)

// spare are directories of GitHub's hosted runners with what no stage uses, and
// about how many bytes each has. Go, git and the like stay.
var spare = []struct {
	path  string
	bytes int64
}{
	{"usr/local/lib/android", 10e9},
	{"opt/hostedtoolcache/CodeQL", 5e9},
	{"usr/local/.ghcup", 5e9},
	{"usr/share/swift", 3e9},
	{"usr/share/dotnet", 2e9},
	{"usr/local/share/powershell", 1e9},
	{"usr/local/share/chromium", 6e8},
	{"usr/share/miniconda", 6e8},
	{"opt/az", 6e8},
}

// spareBytes is about what FreeDiskSpace would free.
func spareBytes(root string) int64 {
	var sum int64
	for _, s := range spare {
		if info, err := os.Lstat(filepath.Join(root, s.path)); err == nil && info.IsDir() {
			sum += s.bytes
		}
	}
	return sum
}

// FreeDiskSpace removes what a hosted runner has to spare. Runners of somebody's
// own are left alone: what lies there is theirs.
func (j *Job) FreeDiskSpace(ctx context.Context) error {
	if !j.Step.Event().Hosted {
		j.Step.Notice("free-disk-space does nothing here: this is no runner of GitHub's, and what lies on its disk is yours")
		return nil
	}
	return freeSpare(ctx, "/", func(path string) { j.Step.Log("removed %s", path) })
}

func freeSpare(ctx context.Context, root string, tell func(path string)) error {
	for _, s := range spare {
		path := filepath.Join(root, s.path)
		if info, err := os.Lstat(path); err != nil || !info.IsDir() {
			continue
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("free disk space: %w", err)
		}
		tell(path)
	}
	return nil
}

// freeBytes is the room for files where a path is or will be.
func freeBytes(path string) (int64, error) {
	for {
		var st syscall.Statfs_t
		err := syscall.Statfs(path, &st)
		if errors.Is(err, fs.ErrNotExist) && path != "/" {
			path = filepath.Dir(path)
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("free disk space of %s: %w", path, err)
		}
		return int64(st.Bavail) * st.Bsize, nil
	}
}

// explain adds the mend to a failure for want of room: the last words of a stage
// say what could not be written, not what to do.
func (j *Job) explain(err error) error {
	stage, ok := errors.AsType[*assembler.Error](err)
	if !ok || !strings.Contains(strings.ToLower(stage.Last), "no space left on device") {
		return err
	}
	free := "an unknown rest"
	if n, err := freeBytes(j.Workdir); err == nil {
		free = plan.Bytes.Text(n)
	}
	mend := diskMend(j.Step.Event().Hosted, spareBytes("/"))
	stage.Last += fmt.Sprintf("; the disk was full, %s is free now; %s", free, mend)
	return stage
}

func diskMend(hosted bool, spare int64) string {
	if hosted && spare > 0 {
		return "set free-disk-space: 'true', or divide the platforms among jobs"
	}
	return "divide the platforms among jobs, or take a runner with a larger disk"
}

// refusal is the error for limits that will be broken, nil for none.
func refusal(lines []plan.Line) error {
	var found diag.List
	for _, l := range lines {
		found.Add(diag.Finding{Message: l.String(), Mend: l.Mend})
	}
	return found.Err()
}

// ready frees room if that is wished, and refuses a stage that the disk has no
// room for.
func (j *Job) ready(ctx context.Context, in Inputs) error {
	if in.FreeDiskSpace {
		if err := j.FreeDiskSpace(ctx); err != nil {
			return err
		}
	}
	if in.Stage == "" {
		return nil
	}
	f, err := j.Forecast(in.Platforms, in.Stage)
	if err != nil {
		return err
	}
	lines, err := j.Against(f, false)
	if err != nil {
		return err
	}
	j.gauge = startGauge(ctx, j.Workdir, f)
	if disk := lines[0]; disk.Verdict == plan.Refused {
		return refusal(lines[:1])
	}
	return nil
}

// Conclude says in the log what the stage was foretold to need and what it has
// needed. The summary does not: it is the same for the same inputs.
func (j *Job) Conclude() {
	if j.gauge == nil {
		return
	}
	for line := range strings.Lines(j.gauge.stop().Text()) {
		j.Step.Log("%s", strings.TrimSuffix(line, "\n"))
	}
}
