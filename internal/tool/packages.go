package tool

// debianPackage names the Debian package that holds a program, or "".
func debianPackage(program string) string { return packages[program] }

var packages = map[string]string{
	"apt-get":            "apt",
	"bwrap":              "bubblewrap",
	"cp":                 "coreutils",
	"createrepo_c":       "createrepo-c",
	"debugfs":            "e2fsprogs",
	"dnf":                "dnf",
	"dpkg-deb":           "dpkg",
	"e2fsck":             "e2fsprogs",
	"git":                "git",
	"grub-mkimage":       "grub-common",
	"mcopy":              "mtools",
	"mke2fs":             "e2fsprogs",
	"mkfs.vfat":          "dosfstools",
	"mkfs.xfs":           "xfsprogs",
	"mmd":                "mtools",
	"ostree":             "ostree",
	"qemu-img":           "qemu-utils",
	"qemu-system-x86_64": "qemu-system-x86",
	"rpm":                "rpm",
	"rpmkeys":            "rpm",
	"sgdisk":             "gdisk",
	"ssh":                "openssh-client",
	"tar":                "tar",
	"xz":                 "xz-utils",
	"zstd":               "zstd",
}
