package buildah

import (
	"github.com/nestos/nosa-actions/internal/assembler/container"
)

// Request is one piece of work for the program, on its standard input as JSON.
// Exactly one of Pull, Build and Run is set.
type Request struct {
	Root   string  // directory of the store, absolute
	Driver string  // storage driver; "" lets the library choose overlay
	Login  *Login  // for registries; nil uses the logins of docker and podman
	HTTP   bool    // registries speak plain HTTP
	Pull   *Pull   `json:",omitempty"`
	Build  *Build  `json:",omitempty"`
	Run    *RunJob `json:",omitempty"`
}

// Login is a user of a registry.
type Login struct{ User, Password string }

// Pull asks for an image.
type Pull struct{ Reference container.Reference }

// Build asks for an image from a Containerfile. Its log is standard error.
type Build struct{ Spec container.BuildSpec }

// RunJob asks for a command, which the program starts and waits for. What the
// command writes goes elsewhere; see package inside.
type RunJob struct{ Spec container.RunSpec }

// Reply is the answer to Pull and Build, on standard output as JSON.
type Reply struct{ Image container.Image }
