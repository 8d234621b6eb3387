// Command bench runs the pipeline and, in the same run, the plain-tools way to
// the same result, and prints seconds and bytes of each side by side. The ratio
// is what counts: both sides share the machine's mood.
//
//	tree and commit:  nosa build container   dnf --installroot + dracut + ostree commit
//	disk:             nosa buildextend-qemu  sgdisk, loop device, mounts, cp, qemu-img convert
//
// Then it makes images of a commit, and prints what they take of their parts alone
// and of each other, beside what they should take at most.
//
// It builds once more after a change of one overlay file, and once more
// after none, and prints what these take of the first build.
//
// The plain way does less: no scriptlet sandbox, no metadata, no OCI archive, no
// boot loader, no verification.
package main

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/tools/command"
	"github.com/nestos/nosa-actions/tools/offline"
)

func main() { command.Main("bench", run) }

// bench is one run.
type bench struct {
	offline.Setup
	host             tool.Host
	dir              string // scratch directory
	pipeline, plains []measure
	changed, same    measure // a build after a change of one file, and after none
	ratios           []ratio // of images
}

// measure is what one step took and left.
type measure struct {
	step  string
	took  time.Duration
	bytes int64 // allocated on the disk by the step's result
}

func run(ctx context.Context) error {
	b := &bench{}
	images := flag.String("images", "", "work directory: measure only images, of its newest build, which they are added to")
	if err := b.ParseFlags(); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("needs root: trees have files of many owners")
	}
	var err error
	if b.dir, err = os.MkdirTemp("", "nosa-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if *images != "" {
		err := b.runImages(ctx, *images)
		b.printRatios()
		return err
	}
	if err := b.runPipeline(ctx); err != nil {
		return err
	}
	if err := b.runPlain(ctx); err != nil {
		return err
	}
	if err := b.runImages(ctx, filepath.Join(b.dir, "work")); err != nil {
		return err
	}
	b.print()
	b.printRatios()
	return nil
}

// timed runs a step and measures it and what it left.
func timed(step, result string, do func() error) (measure, error) {
	fmt.Fprintf(os.Stderr, "%s ...\n", step)
	begin := time.Now()
	if err := do(); err != nil {
		return measure{}, fmt.Errorf("%s: %w", step, err)
	}
	took := time.Since(begin)
	size, err := allocated(result)
	return measure{step, took, size}, err
}

// allocated is what the one file or tree that fits the pattern occupies on the
// disk, hard links counted once.
func allocated(pattern string) (int64, error) {
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		return 0, fmt.Errorf("%s fits %d files, not one", pattern, len(found))
	}
	var sum int64
	seen := map[uint64]bool{}
	err = filepath.WalkDir(found[0], func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		if !seen[stat.Ino] {
			seen[stat.Ino] = true
			sum += stat.Blocks * 512
		}
		return nil
	})
	return sum, err
}

func (b *bench) print() {
	fmt.Printf("\n%-18s %10s %10s %8s %12s %12s\n", "STEP", "NOSA", "PLAIN", "RATIO", "NOSA BYTES", "PLAIN BYTES")
	for i, ours := range b.pipeline {
		plain := b.plains[i]
		fmt.Printf("%-18s %9.1fs %9.1fs %8.2f %12d %12d\n", ours.step, ours.took.Seconds(), plain.took.Seconds(),
			ours.took.Seconds()/plain.took.Seconds(), ours.bytes, plain.bytes)
	}
	full := b.pipeline[0].took.Seconds()
	fmt.Printf("\n%-18s %10s %10s\n", "BUILD AGAIN", "NOSA", "OF FULL")
	for _, again := range []measure{b.changed, b.same} {
		fmt.Printf("%-18s %9.1fs %10.2f\n", again.step, again.took.Seconds(), again.took.Seconds()/full)
	}
}
