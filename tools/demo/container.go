package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/assembler"
	"github.com/nestos/nosa-actions/internal/assembler/container"
	"github.com/nestos/nosa-actions/internal/assembler/container/buildah"
	"github.com/nestos/nosa-actions/internal/assembler/container/podman"
	"github.com/nestos/nosa-actions/internal/tool"
)

// choose sets up the container that stages run in, if they do. The programs that
// it takes lie beside nosa.
func (d *demo) choose(image, engine string) error {
	if image == "host" {
		return nil
	}
	if os.Geteuid() != 0 {
		return errors.New("containers need root; run make through sudo")
	}
	ref, err := container.ParseReference(image)
	if err != nil {
		return err
	}
	bin := filepath.Dir(d.Nosa)
	init := filepath.Join(bin, "nosa-init")
	d.image = &assembler.Container{
		Engine:  &buildah.Engine{Runner: tool.Host{}, Program: filepath.Join(bin, "nosa-container"), Init: init, Log: os.Stderr},
		Image:   ref,
		Workdir: d.dir,
		Log:     func(line string) { fmt.Println(line) },
		Show:    []string{d.Config, d.Pool, filepath.Join(filepath.Dir(d.dir), "yumrepos")},
	}
	if engine == "podman" {
		d.image.Engine = &podman.Engine{Runner: tool.Host{}, Init: init, Log: os.Stderr}
	}
	// The config of the example lies in our own repository, whose commit is
	// recorded with the build.
	for dir := d.Config; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
			d.image.Show = append(d.image.Show, dir)
			break
		}
	}
	return nil
}

// do runs a stage where stages run.
func (d *demo) do(ctx context.Context, cmd tool.Cmd, args []string) error {
	if d.image == nil {
		_, err := d.host.Run(ctx, cmd)
		return err
	}
	_, err := d.image.Run(ctx, assembler.Stage{Name: args[0], Args: args[1:]})
	return err
}
