package oci_test

import (
	"os"
	"syscall"
)

func sysInode(info os.FileInfo) uint64 { return info.Sys().(*syscall.Stat_t).Ino }
