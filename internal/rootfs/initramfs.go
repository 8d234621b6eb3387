package rootfs

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/watchfs"
)

// InitramfsOptions say how the initramfs is made.
type InitramfsOptions struct {
	DracutArgs []string // replace the default --no-hostonly
	// OSVersion is the version of this very build, which MutateOSRelease put into
	// os-release in place of OSBase. dracut gets to see OSBase. Empty: it was not
	// called.
	OSVersion, OSBase string
	Scratch           string // directory for temporary files
	// Kept is a directory that keeps images for later composes, which take one
	// over if all that dracut looked at is the same; empty: none.
	Kept string
	Live io.Writer // receives what dracut says
}

// sandboxVersion stands for all that dracut is surrounded with and that no other
// part of a key names; it goes up when the sandbox changes.
const sandboxVersion = 1

// dracutDir is where dracut finds the directory for its files.
const dracutDir = "/tmp/dracut"

// Initramfs makes /usr/lib/modules/KVER/initramfs.img with the tree's own
// dracut, or takes over a kept one. dracut sees the tree read-only.
//
// It names the release and not the build: so the same packages have the same
// initramfs, and an update that leaves them alone does not bring it again.
func (t *Tree) Initramfs(ctx context.Context, kernel string, o InitramfsOptions) (reused bool, err error) {
	image, reused, err := t.initramfs(ctx, kernel, o)
	if err == nil {
		err = replaceFile(filepath.Join(t.Root, "usr/lib/modules", kernel, "initramfs.img"), image.image, 0o644)
	}
	if err != nil {
		return false, fmt.Errorf("make the initramfs: %w", err)
	}
	return reused, nil
}

// initramfs finds or makes the image.
func (t *Tree) initramfs(ctx context.Context, kernel string, o InitramfsOptions) (image *initramfs, reused bool, err error) {
	restore, err := t.hideVersion(o)
	if err != nil {
		return nil, false, err
	}
	defer func() {
		if restored := restore(); err == nil {
			err = restored
		}
	}()
	made, err := t.mountPoints(sandbox{})
	defer removeDirs(made)
	if err != nil {
		return nil, false, err
	}
	call := t.dracutCall(kernel, o)
	kept := keptImages{dir: o.Kept, key: call.key()}
	if !call.hostIndependent() {
		kept.dir = ""
	}
	if image = kept.find(t.Root); image != nil {
		return image, true, nil
	}
	if image, err = t.dracut(ctx, call, o); err != nil {
		return nil, false, err
	}
	return image, false, kept.add(image)
}

// hideVersion gives os-release the text that it has for any build of the release,
// until restore is called.
func (t *Tree) hideVersion(o InitramfsOptions) (restore func() error, err error) {
	if o.OSVersion == "" {
		return func() error { return nil }, nil
	}
	path, err := t.file("/etc/os-release")
	if err != nil {
		return nil, err
	}
	rel, original := strings.TrimPrefix(path, t.Root), ""
	restore = func() error { return t.editFile(rel, func(string) string { return original }) }
	return restore, t.editFile(rel, func(text string) string {
		original = text
		return strings.ReplaceAll(text, o.OSVersion, o.OSBase)
	})
}

// dracutCall is how dracut is called.
type dracutCall struct {
	argv []string
	env  []string
}

func (t *Tree) dracutCall(kernel string, o InitramfsOptions) dracutCall {
	args := o.DracutArgs
	if len(args) == 0 {
		args = []string{"--no-hostonly"}
	}
	argv := append([]string{"/usr/bin/dracut"}, args...)
	argv = append(argv, "--add", "ostree", "--reproducible", "--force", "--kver", kernel)
	return dracutCall{
		argv: append(argv, dracutDir+"/initramfs.img"),
		env:  []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", t.Epoch.Unix()), "TMPDIR=" + dracutDir},
	}
}

// key stands for what decides about the image beside the tree.
func (c dracutCall) key() string {
	var host unix.Utsname
	_ = unix.Uname(&host)
	return fmt.Sprintf("%d %q %q %s %s", sandboxVersion, c.argv, c.env, unix.ByteSliceToString(host.Release[:]), unix.ByteSliceToString(host.Machine[:]))
}

// hostIndependent tells whether the image is made for any machine. One for this
// machine depends on more than the tree.
func (c dracutCall) hostIndependent() bool {
	general := slices.Contains(c.argv, "--no-hostonly") || slices.Contains(c.argv, "-N")
	return general && !slices.Contains(c.argv, "--hostonly") && !slices.Contains(c.argv, "-H")
}

// dracut runs dracut on a view of the tree that records what it looks at. Where
// a view cannot be mounted, it sees the tree itself, and nothing can be kept.
func (t *Tree) dracut(ctx context.Context, call dracutCall, o InitramfsOptions) (image *initramfs, err error) {
	dir := filepath.Join(o.Scratch, "dracut")
	at := filepath.Join(o.Scratch, "dracut-view")
	for _, d := range []string{dir, at} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return nil, err
		}
		defer os.RemoveAll(d)
	}
	box := sandbox{live: o.Live, env: call.env, nodes: true, view: t.Root, shared: dir, sharedAt: dracutDir}
	view, unmountable := watchfs.Mount(t.Root, at, t.Epoch)
	if unmountable == nil {
		box.view = at
	}
	err = t.run(ctx, box, call.argv...)
	if unmountable != nil {
		if err != nil {
			return nil, err
		}
		return readInitramfs(dir, nil)
	}
	if closed := view.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, err
	}
	record, err := view.Record()
	if err != nil {
		return nil, err
	}
	return readInitramfs(dir, record)
}

// initramfs is what dracut made.
type initramfs struct {
	image  []byte
	record *watchfs.Record // of what dracut looked at; nil if unknown
}

func readInitramfs(dir string, record *watchfs.Record) (*initramfs, error) {
	image, err := os.ReadFile(filepath.Join(dir, "initramfs.img"))
	return &initramfs{image: image, record: record}, err
}
