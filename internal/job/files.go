package job

import (
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/nestos/nosa-actions/internal/atomicfile"
)

// relocate moves a file, also to another file system.
func relocate(from, to string) error {
	err := os.Rename(from, to)
	if !errors.Is(err, syscall.EXDEV) {
		return err
	}
	return errors.Join(copyTo(from, to), os.Remove(from))
}

func copyTo(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return atomicfile.WriteFrom(to, 0o644, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
}
