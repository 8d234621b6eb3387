// Package container says what the suite asks of containers: an image by an
// exact name, a command in it, and a plain account of how the command ended.
// The engines below it do the work; none of their types are in here.
package container

import (
	"context"
	"io"
	"time"

	"github.com/opencontainers/go-digest"
)

// Engine runs commands in images. It may be used by several goroutines and by
// several processes on one store at once.
type Engine interface {
	// Pull makes an image ready to run. One that is named by digest and is
	// already there is taken as it is, without a look at the network. An image
	// whose manifest has another digest than the reference says is refused.
	Pull(ctx context.Context, ref Reference) (Image, error)
	// Build makes an image from a Containerfile.
	Build(ctx context.Context, spec BuildSpec) (Image, error)
	// Run runs a command to its end. How it ended is told apart: *ExitError is
	// the command's own status, *SignalError a signal that ended it,
	// *CommandError a command that could not be started, and *RuntimeError a
	// failure of the engine. A context that ends asks the command to stop, kills
	// it after Grace, and yields the context's cause. Nothing of a run is left
	// when Run returns, nor after this process has been killed.
	Run(ctx context.Context, spec RunSpec) error
	// Close frees what the engine holds. It does not remove images.
	Close() error
}

// Image is one that is ready to run.
type Image struct {
	ID     string        // of the engine's store
	Digest digest.Digest // of the manifest, as the registry or layout names it
	Config Config
}

// Config is what an image says about running it.
type Config struct {
	Entrypoint, Command []string
	Env                 []string // NAME=VALUE
	User, WorkingDir    string
}

// RunSpec is one command in one image. The command may do what root may on this
// machine but for what the namespaces keep from it: it has all capabilities and
// the machine's network. Its standard input is empty.
type RunSpec struct {
	Image      Image
	Command    []string // whole, with the entry point if it is wanted
	Env        []string // added to the image's, NAME=VALUE
	WorkingDir string   // absolute; "" is the image's
	User       string   // "" is the image's
	Mounts     []Mount
	TmpFS      []string // directories that are in memory and empty
	Devices    []string // paths of device nodes, the same inside
	Stdout     io.Writer
	Stderr     io.Writer
	// Grace is how long a command that is asked to stop may take; 0 means 10 s.
	Grace time.Duration
}

// Mount binds a file or directory of the machine into the container.
type Mount struct {
	Source   string // absolute, must exist
	Target   string // absolute
	ReadOnly bool
}

// BuildSpec describes an image to make.
type BuildSpec struct {
	Containerfile string            // path
	Context       string            // directory that COPY and ADD take from
	Args          map[string]string // build arguments
	Labels        map[string]string
	// Epoch is the time of everything in the image, so that equal input gives
	// an equal digest.
	Epoch time.Time
	// Output is where the image is written beside the store, as OCI archive; ""
	// is nowhere.
	Output string
	// Name is what the image is called in the store, such as
	// localhost/nosa/assembler:latest; "" leaves it without a name.
	Name string
	// Offline forbids to pull base images.
	Offline bool
	Log     io.Writer // receives what the build says; nil discards it
}

// DefaultGrace is the Grace of a RunSpec that has none.
const DefaultGrace = 10 * time.Second
