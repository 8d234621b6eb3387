// Command assemblerimage builds the assembler image: nosa and the programs it
// drives. It starts from a base image, or, where no registry can be reached, from
// a root file system that it makes of Debian's packages. Equal input gives an
// equal digest.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/assembler/container"
	"github.com/nestos/nosa-actions/internal/assembler/container/buildah"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/tools/command"
)

// source is the directory of the Containerfile.
const source = "assembler"

// defaultBase is what the Containerfile starts from.
const defaultBase = "docker.io/library/debian:bookworm-slim"

func main() { command.Main("assemblerimage", run) }

// maker makes one image.
type maker struct {
	host   tool.Host
	engine *buildah.Engine
	nosa   string
	base   string
	output string
	epoch  time.Time
	dir    string // scratch
}

func run(ctx context.Context) error {
	m := &maker{engine: &buildah.Engine{Runner: tool.Host{}, Log: os.Stderr}}
	flag.StringVar(&m.nosa, "nosa", "bin/nosa", "the nosa program, linked statically")
	flag.StringVar(&m.engine.Program, "nosa-container", "bin/nosa-container", "the program with the container library")
	flag.StringVar(&m.engine.Root, "store", "", "directory of images; empty is "+buildah.DefaultRoot)
	flag.StringVar(&m.base, "base", "", "base image; none makes the root file system of Debian's packages; empty tries "+defaultBase+" first")
	flag.StringVar(&m.output, "output", ".cache/assembler.oci.tar", "OCI archive to write")
	flag.Parse()
	var err error
	if m.dir, err = os.MkdirTemp("", "nosa-image-"); err != nil {
		return err
	}
	defer os.RemoveAll(m.dir)
	if m.epoch, err = m.commitTime(ctx); err != nil {
		return err
	}
	return m.make(ctx)
}

// commitTime is SOURCE_DATE_EPOCH, or the time of the last commit.
func (m *maker) commitTime(ctx context.Context) (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		out, err := m.host.Run(ctx, tool.Cmd{Name: "git", Args: []string{"-c", "safe.directory=*", "log", "-1", "--format=%ct"}})
		if err != nil {
			return time.Time{}, err
		}
		text = strings.TrimSpace(string(out))
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	return time.Unix(seconds, 0), nil
}

func (m *maker) make(ctx context.Context) error {
	base, err := m.chooseBase(ctx)
	if err != nil {
		return err
	}
	if err := m.gather(ctx); err != nil {
		return err
	}
	if m.output, err = filepath.Abs(m.output); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(m.output), 0o755); err != nil {
		return err
	}
	begin := time.Now()
	image, err := m.engine.Build(ctx, container.BuildSpec{
		Containerfile: filepath.Join(m.dir, "Containerfile"), Context: m.dir, Log: os.Stderr,
		Args:   map[string]string{"BASE": base, "SOURCE_DATE_EPOCH": strconv.FormatInt(m.epoch.Unix(), 10)},
		Labels: map[string]string{"org.opencontainers.image.created": m.epoch.UTC().Format(time.RFC3339)},
		Epoch:  m.epoch, Output: m.output, Name: "localhost/nosa/assembler:latest", Offline: strings.HasPrefix(base, "localhost/"),
	})
	if err != nil {
		return err
	}
	digest, err := container.LayoutDigest(container.Reference{Transport: container.OCIArchive, Name: m.output})
	if err != nil {
		return err
	}
	info, err := os.Stat(m.output)
	if err != nil {
		return err
	}
	fmt.Printf("oci-archive:%s@%s\n%.0f MB, image %s, %.0f s\n", m.output, digest, float64(info.Size())/1e6, image.ID, time.Since(begin).Seconds())
	return nil
}

// gather puts together what the Containerfile copies.
func (m *maker) gather(ctx context.Context) error {
	args := []string{"--"}
	for _, name := range []string{"Containerfile", "packages", "prepare.sh"} {
		args = append(args, filepath.Join(source, name))
	}
	_, err := m.host.Run(ctx, tool.Cmd{Name: "cp", Args: append(args, m.nosa, m.dir)})
	return err
}

// rootImage is the name of the base that is made of packages.
const rootImage = "localhost/nosa/debian:latest"

func (m *maker) chooseBase(ctx context.Context) (string, error) {
	switch m.base {
	case "none":
		return rootImage, m.bootstrap(ctx)
	case "":
		ref, err := container.ParseReference(defaultBase)
		if err != nil {
			return "", err
		}
		if _, err = m.engine.Pull(ctx, ref); err == nil {
			return defaultBase, nil
		}
		if ctx.Err() != nil {
			return "", err
		}
		fmt.Fprintf(os.Stderr, "%v\nmaking the base of Debian's packages instead\n", err)
		return rootImage, m.bootstrap(ctx)
	}
	return m.base, nil
}

// bootstrap makes a base image of packages alone, from the repositories of apt
// on a Debian machine.
func (m *maker) bootstrap(ctx context.Context) error {
	if err := tool.Need("mmdebstrap"); err != nil {
		return err
	}
	include, err := m.packages(ctx)
	if err != nil {
		return err
	}
	root := filepath.Join(m.dir, "root.tar")
	_, err = m.host.Run(ctx, tool.Cmd{
		Name: "mmdebstrap", Args: []string{
			"--variant=minbase", "--include=" + strings.Join(include, ","),
			// Copies of this machine's own.
			`--customize-hook=rm -f "$1/etc/hostname" "$1/etc/resolv.conf"`,
			"bookworm", root,
		},
		Env:    []string{"SOURCE_DATE_EPOCH=" + strconv.FormatInt(m.epoch.Unix(), 10)},
		Stderr: os.Stderr,
	})
	if err != nil {
		return err
	}
	file := filepath.Join(m.dir, "Containerfile.root")
	if err := os.WriteFile(file, []byte("FROM scratch\nADD root.tar /\nENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nCMD [\"bash\"]\n"), 0o644); err != nil {
		return err
	}
	_, err = m.engine.Build(ctx, container.BuildSpec{
		Containerfile: file, Context: m.dir, Epoch: m.epoch, Name: rootImage, Offline: true, Log: os.Stderr,
	})
	return errors.Join(err, os.Remove(root))
}

// packages reads the list for this machine's architecture.
func (m *maker) packages(ctx context.Context) ([]string, error) {
	out, err := m.host.Run(ctx, tool.Cmd{Name: "dpkg", Args: []string{"--print-architecture"}})
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(source, "packages"))
	if err != nil {
		return nil, err
	}
	var list []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") || len(fields) > 1 && fields[1] != "["+strings.TrimSpace(string(out))+"]" {
			continue
		}
		list = append(list, fields[0])
	}
	return list, nil
}
