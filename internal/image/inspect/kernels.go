package inspect

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"path"
	"strings"
)

// kernels holds the files that an entry boots against the deployment that it
// boots into.
func (i *inspector) kernels(boot, root, tree files) {
	for _, e := range i.img.Entries {
		where := "boot:/loader/entries/" + e.File
		i.ostreeArg(root, where, e)
		sum := sha256.New() // ostree's boot checksum: of the kernel, then of the initramfs
		whole := true
		modules := tree.names("/usr/lib/modules", "*")
		if len(modules) == 1 {
			i.img.Deployment.Kernel = modules[0]
		} else {
			i.bad("deployment:/usr/lib/modules", "there are %d kernels instead of one", len(modules))
		}
		pairs := []struct{ name, source string }{{e.Kernel, "vmlinuz"}}
		for _, name := range e.Initrd {
			pairs = append(pairs, struct{ name, source string }{name, "initramfs.img"})
		}
		if len(e.Initrd) == 0 {
			i.bad(where, "the entry has no initramfs")
			whole = false
		}
		for _, p := range pairs {
			whole = i.bootFile(boot, tree, sum, p.name, p.source) && whole
		}
		if want := bootChecksum(e.Kernel); whole && want != "" && hex.EncodeToString(sum.Sum(nil)) != want {
			i.bad("boot:"+path.Dir(e.Kernel), "kernel and initramfs have not the checksum that the directory is named by")
		}
	}
}

// bootChecksum is in the name of the directory of a kernel, OS-CHECKSUM.
func bootChecksum(kernel string) string {
	dir := path.Base(path.Dir(kernel))
	if at := strings.LastIndexByte(dir, '-'); at >= 0 && len(dir)-at-1 == sha256.Size*2 {
		return dir[at+1:]
	}
	return ""
}

// bootFile reads a kernel or an initramfs into sum and compares it with the one
// in the deployment.
func (i *inspector) bootFile(boot, tree files, sum io.Writer, name, source string) bool {
	where := "boot:" + name
	own := sha256.New()
	var head bytes.Buffer
	err := boot.stream(name, func(at info, in io.Reader) error {
		if at.Size == 0 {
			return errors.New("is empty")
		}
		if _, err := io.CopyN(io.MultiWriter(own, sum, &head), in, min(at.Size, 4096)); err != nil {
			return err
		}
		_, err := io.Copy(io.MultiWriter(own, sum), in)
		return err
	})
	if err != nil {
		i.bad(where, "%s", plainError(err))
		return false
	}
	if source == "vmlinuz" && !isKernel(head.Bytes()) {
		i.bad(where, "is no Linux kernel")
	}
	if i.img.Deployment.Kernel == "" {
		return true
	}
	origin := path.Join("/usr/lib/modules", i.img.Deployment.Kernel, source)
	there := sha256.New()
	err = tree.stream(origin, func(_ info, in io.Reader) error {
		_, err := io.Copy(there, in)
		return err
	})
	if err != nil {
		i.bad("deployment:"+origin, "%s", plainError(err))
		return true
	}
	if !bytes.Equal(own.Sum(nil), there.Sum(nil)) {
		i.bad(where, "differs from the deployment's %s", origin)
	}
	return true
}

// isKernel knows kernels by the boot protocols of x86 and arm64, and programs
// for EFI, which compressed ones are.
func isKernel(head []byte) bool {
	at := func(offset int, magic string) bool {
		return len(head) >= offset+len(magic) && string(head[offset:][:len(magic)]) == magic
	}
	return at(0x202, "HdrS") || at(56, "ARM\x64") || at(0, "MZ")
}

// ostreeArg follows the argument that leads the initramfs to the deployment.
func (i *inspector) ostreeArg(root files, where string, e Entry) {
	for _, arg := range e.Kargs {
		target, ok := strings.CutPrefix(arg, "ostree=")
		if !ok {
			continue
		}
		at, _, err := root.resolve(target, true)
		deployed := path.Join("/ostree/deploy", i.img.Deployment.Stateroot, "deploy")
		switch {
		case err != nil:
			i.bad(where, "the kernel argument %s leads nowhere: root:%s is missing", arg, target)
		case path.Dir(at) != deployed || !strings.HasPrefix(path.Base(at), i.img.Deployment.Commit):
			i.bad(where, "the kernel argument %s leads to %s, which is not the deployment", arg, at)
		}
		if sum := bootChecksum(e.Kernel); sum != "" && !strings.Contains(target, sum) {
			i.bad(where, "the kernel argument %s and the kernel %s are of different deployments", arg, e.Kernel)
		}
	}
	if l, err := root.lstat("/ostree/boot.1"); err != nil {
		if _, err := root.lstat("/ostree/boot.0"); err != nil {
			i.bad("root:/ostree/boot.1", "%s", plainError(err))
		}
	} else if !l.link() {
		i.bad("root:/ostree/boot.1", "is no link")
	}
}
