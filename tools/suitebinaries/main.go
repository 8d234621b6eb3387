// Command suitebinaries builds the programs of the suite for a release: one static
// program a file, the same bytes wherever they are built. It writes the compressed
// programs, SHA256SUMS, and the file actions/binaries that the tree of the release
// has, by which the actions find and verify them.
package main

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/atomicfile"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/tools/command"
)

// beside are the programs that the actions start.
var beside = []string{"cmd/nosa", "cmd/nosa-container", "cmd/nosa-init"}

// architectures in Go's names, each with the variable that chooses the oldest
// processors.
var architectures = []struct{ name, oldest string }{{"amd64", "GOAMD64=v1"}, {"arm64", "GOARM64=v8.0"}}

// flags are those of actions/provide.sh: the programs of a release are those that
// the same source gives on a runner.
var flags = []string{"-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-tags=containers_image_openpgp"}

// version is the form of a tag.
var version = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$`)

func main() { command.Main("suitebinaries", run) }

// options say what is built.
type options struct {
	root, out string
	tag       string
	url       string // directory of the release's assets
	programs  []string
}

func run(ctx context.Context) error {
	var o options
	var repository, programs string
	flag.StringVar(&o.root, "source", ".", "the tree to build")
	flag.StringVar(&o.out, "output", "work/suite", "directory to write to; must be new or empty")
	flag.StringVar(&o.tag, "tag", "", "tag of the release, vMAJOR.MINOR.PATCH")
	flag.StringVar(&repository, "repository", "https://github.com/nestos/nosa-actions", "address of the repository with the release")
	flag.StringVar(&programs, "programs", "", "directories of programs, separated by commas; empty is all")
	flag.Parse()
	if !version.MatchString(o.tag) {
		return fmt.Errorf("tag %q: write vMAJOR.MINOR.PATCH, such as v1.2.3", o.tag)
	}
	o.url = strings.TrimSuffix(repository, "/") + "/releases/download/" + o.tag
	if programs != "" {
		o.programs = strings.Split(programs, ",")
	}
	return o.make(ctx)
}

func (o *options) make(ctx context.Context) error {
	if o.programs == nil {
		actions, err := filepath.Glob(filepath.Join(o.root, "actions/*/main.go"))
		if err != nil {
			return err
		}
		for _, file := range actions {
			o.programs = append(o.programs, "actions/"+filepath.Base(filepath.Dir(file)))
		}
		o.programs = append(o.programs, beside...)
	}
	if list, err := os.ReadDir(o.out); err == nil && len(list) > 0 {
		return fmt.Errorf("%s is not empty", o.out)
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	source, err := o.ask(ctx, filepath.Join(o.root, "tools/source-digest.sh"))
	if err != nil {
		return err
	}
	compiler, err := o.ask(ctx, "go", "env", "GOVERSION")
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, a := range architectures {
		if err := o.build(ctx, a.name, a.oldest, &sums); err != nil {
			return err
		}
	}
	list := fmt.Sprintf("# The programs of this release; made by tools/suitebinaries.\ntag %s\nurl %s\nsource %s\ncompiler %s\n%s", o.tag, o.url, source, compiler, sums.String())
	return errors.Join(
		atomicfile.Write(filepath.Join(o.out, "SHA256SUMS"), []byte(sums.String()), 0o644),
		atomicfile.Write(filepath.Join(o.out, "binaries"), []byte(list), 0o644),
	)
}

// ask runs a program that answers with one line.
func (o *options) ask(ctx context.Context, name string, args ...string) (string, error) {
	out, err := tool.Host{}.Run(ctx, tool.Cmd{Name: name, Args: args, Dir: o.root})
	return strings.TrimSpace(string(out)), err
}

// build makes the programs of one architecture and adds their checksums to sums.
func (o *options) build(ctx context.Context, arch, oldest string, sums *strings.Builder) error {
	dir, err := os.MkdirTemp("", "nosa-suite-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	args := append([]string{"build"}, flags...)
	args = append(args, "-o", dir+"/")
	for _, program := range o.programs {
		args = append(args, "./"+program)
	}
	_, err = tool.Host{}.Run(ctx, tool.Cmd{
		Name: "go", Args: args, Dir: o.root, Stdout: os.Stderr, Stderr: os.Stderr,
		Env: []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + arch, oldest, "GOFLAGS=-mod=readonly", "GOEXPERIMENT="},
	})
	if err != nil {
		return err
	}
	names := make([]string, len(o.programs))
	for i, program := range o.programs {
		names[i] = filepath.Base(program)
	}
	slices.Sort(names)
	for _, name := range names {
		sum, size, err := o.compress(filepath.Join(dir, name), name+"-linux-"+arch+".gz")
		if err != nil {
			return err
		}
		fmt.Printf("%s-linux-%s.gz %.1f MB\n", name, arch, float64(size)/1e6)
		fmt.Fprintf(sums, "%s  %s-linux-%s.gz\n", sum, name, arch)
	}
	return nil
}

// compress writes a program to the output directory. The header of the file has
// neither a name nor a time.
func (o *options) compress(program, asset string) (sum string, size int64, err error) {
	in, err := os.Open(program)
	if err != nil {
		return "", 0, err
	}
	defer in.Close()
	hash := sha256.New()
	err = atomicfile.WriteFrom(filepath.Join(o.out, asset), 0o644, func(w io.Writer) error {
		count := &counter{w: io.MultiWriter(w, hash)}
		z := gzip.NewWriter(count)
		_, err := io.Copy(z, in)
		err = errors.Join(err, z.Close())
		size = count.n
		return err
	})
	return hex.EncodeToString(hash.Sum(nil)), size, err
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
