//go:build containers_image_openpgp

// Command nosa-container does the container work of nosa-actions: it pulls,
// builds and runs images with the buildah library. See
// internal/assembler/container/buildah, which starts it.
package main

import (
	"os"

	"github.com/nestos/nosa-actions/internal/assembler/container/buildah/work"
)

func main() { os.Exit(work.Main()) }
