package zstdframe

import "golang.org/x/sys/unix"

// largePage is what the kernel has on amd64 and, by default, on arm64, in bytes.
const largePage = 2 << 20

// room is n bytes of memory for a frame, as far as it goes in large pages where the
// kernel has them: in small ones, to touch it for the first time takes as long as
// to decompress half a frame.
func room(n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return make([]byte, 0, n)
	}
	if large := n &^ (largePage - 1); large > 0 {
		_ = unix.Madvise(b[:large], unix.MADV_HUGEPAGE) // small ones will do
	}
	return b[:0]
}

// leave gives room back that nobody uses.
func leave(b []byte) {
	if cap(b) > 0 {
		_ = unix.Munmap(b[:cap(b)]) // fails for what is not from there
	}
}
