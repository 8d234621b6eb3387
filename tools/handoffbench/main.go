// Command handoffbench hands packages and a build with a sparse disk image from
// one job to the next, in the same run and on the same data by our packs and by
// other ways, and prints what ours takes of them beside the targets:
//
//	artifacts    actions/upload-artifact and download-artifact on the plain directories, at their defaults
//	tar, zstd    tar -cS | zstd -T0 and back
//	cp           cp -a --sparse=always
//
// What needs no server is done in several rounds, one way after the other in each,
// and the middle one counts. All run as processes of their own, read what is in
// memory already, write to the same file system, and leave it to the kernel when
// that reaches the disk. Artifacts go through the actions' client library and act's
// server, once.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/test/artifacts"
	"github.com/nestos/nosa-actions/tools/command"
)

func main() { command.Main("handoffbench", run) }

// bench is one run.
type bench struct {
	dir     string // scratch directory
	src     string // work directory of the first job
	state   string // what is kept between runs
	self    string // this program
	sizes   sizes
	rounds  int
	service *artifacts.Service // nil: without artifacts
}

// sizes of the data, in MiB.
type sizes struct{ cache, image, data int64 }

func run(ctx context.Context) error {
	var b bench
	full := flag.Bool("full", false, "1 GiB of packages and an image of 10 GiB, which the targets are for")
	local := flag.Bool("local", false, "leave out what needs the artifact server")
	pool := flag.String("pool", ".cache/pool", "directory with RPM files")
	flag.IntVar(&b.rounds, "rounds", 5, "how often to do what needs no server")
	flag.Parse()
	if flag.NArg() > 0 {
		return child(ctx, flag.Args())
	}
	b.sizes = sizes{cache: 128, image: 1280, data: 200}
	if *full {
		b.sizes = sizes{cache: 1024, image: 10240, data: 1600}
	}
	root, err := filepath.Abs(".")
	if err != nil {
		return err
	}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	b.state = filepath.Join(root, ".cache", "e2e")
	if b.dir, err = os.MkdirTemp("", "nosa-handoffbench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	b.src = filepath.Join(b.dir, "src")
	if err := b.makeData(ctx, *pool); err != nil {
		return err
	}
	if !*local {
		if b.service, err = artifacts.Start(ctx, root, b.state, filepath.Join(b.dir, "service")); err != nil {
			return err
		}
		defer b.service.Stop() //nolint:errcheck // the process ends
	}
	return b.compare(ctx)
}

func (b *bench) compare(ctx context.Context) error {
	fmt.Printf("%d MiB of packages, an image of %d MiB with %d MiB of data\n\n", b.sizes.cache, b.sizes.image, b.sizes.data)
	ours, tar, cp := way{name: "ours"}, way{name: "tar, zstd"}, way{name: "cp"}
	peak, err := b.local(ctx, &ours, &tar, &cp)
	if err != nil {
		return err
	}
	ways := []way{ours, tar, cp}
	if b.service != nil {
		plain := way{name: "artifacts"}
		if err := b.remote(ctx, &ways[0], &plain); err != nil {
			return err
		}
		ways = append(ways, plain)
	}
	if err := b.same(ctx); err != nil {
		return err
	}
	thin, err := b.thin(ctx)
	if err != nil {
		return err
	}
	report(ways, peak, thin)
	return nil
}

func report(ways []way, peak int64, thin float64) {
	fmt.Printf("%-12s %9s %9s %9s %9s %12s\n", "WAY", "PACK", "UPLOAD", "DOWNLOAD", "UNPACK", "BYTES")
	for _, w := range ways {
		fmt.Println(w)
	}
	fmt.Printf("\n%-44s %8s %8s\n", "OURS IN PARTS OF", "RATIO", "TARGET")
	row := func(what string, ratio float64, target string) { fmt.Printf("%-44s %8.2f %8s\n", what, ratio, target) }
	ours, tar, cp := ways[0], ways[1], ways[2]
	if len(ways) > 3 {
		row("artifacts: seconds", ours.sum()/ways[3].sum(), "<= 0.20")
		row("artifacts: bytes", float64(ours.bytes)/float64(ways[3].bytes), "<= 0.70")
	}
	row("tar, zstd: seconds to pack and unpack", (ours.pack+ours.unpack)/(tar.pack+tar.unpack), "<= 1.00")
	row("tar, zstd: seconds to pack", ours.pack/tar.pack, "")
	row("cp: seconds to unpack", ours.unpack/cp.unpack, "<= 1.50")
	row("256 MiB: memory of our processes at most", float64(peak)/(256<<20), "<= 1.00")
	row("whole packs: bytes of one on the run before's", thin, "")
}
