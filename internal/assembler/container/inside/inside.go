// Package inside stands on both sides of a container's wall. Its Init is the
// first process in the container: it starts the command, passes on the order to
// stop, and says how the command ended, over a socket that the other side,
// Listener, holds. So every engine tells the command's own status from a signal
// and from a failure of its runtime, which exit statuses alone cannot, and a
// command ends when the process that wanted it is gone, however that ended.
//
// The command's output does not pass through the engine: Listener hands the open
// files over.
package inside

import "time"

// Where Init and its socket are in the container.
const (
	initPath   = "/run/nosa-init"
	socketPath = "/run/nosa-init.sock"
)

// order is what Listener tells Init, beside the two files for output.
type order struct {
	Grace time.Duration // between SIGTERM and SIGKILL
}

// ending is what Init tells Listener, once. At most one field is set; none means
// status 0.
type ending struct {
	Exit   int    `json:",omitempty"`
	Signal int    `json:",omitempty"`
	Failed string `json:",omitempty"` // why the command could not be started
}
