package rootfs

// ignoredScripts are not run, as rpm-ostree does not run them. A key is the
// package, a dot and the kind of script; the value says why the script has no
// place in a tree that is composed afresh and does not run.
var ignoredScripts = map[string]string{
	// What the compose does itself, once, at the end.
	"kernel.posttrans":      composedKernel,
	"kernel-core.posttrans": composedKernel,
	"filesystem.posttrans":  "sets up links of the top level, which the compose lays out",

	// Users and groups come from the config and from sysusers.d.
	"setup.post":            "rebuilds shadow files of an installed machine",
	"vagrant.prein":         "adds a group of one machine",
	"vagrant-libvirt.prein": "adds a group of one machine",

	// Mending of what an older version left on an installed machine.
	"bash.post":                freshTree + ": /etc/shells is complete",
	"ca-certificates.prein":    freshTree,
	"coreutils.prein":          freshTree,
	"fedora-release.posttrans": freshTree,
	"gdb.prein":                freshTree,
	"glibc.prein":              freshTree + "; it looks at the running kernel",
	"glibc-headers.prein":      freshTree,
	"libgcc.post":              freshTree,
	"nfs-utils.post":           freshTree + "; it changes files below /var",
	"pinentry.prein":           freshTree,

	// What acts on the machine that runs it.
	"microcode_ctl.post":         runningMachine + "'s microcode",
	"microcode_ctl.posttrans":    runningMachine + "'s microcode and initramfs",
	"systemd.transfiletriggerin": runningMachine + "'s service manager",
	"man-db.transfiletriggerin":  "fills a cache below /var, which a commit does not carry",
}

const (
	composedKernel = "modules.dep, the initramfs and the boot entry are the compose's"
	freshTree      = "mends what an older version left behind"
	runningMachine = "acts on the running machine"
)

// replacedScripts run as these shell scripts instead: the originals look at the
// machine that composes, where the tree has to be the same wherever it is made.
var replacedScripts = map[string]string{
	// The original, in Lua, asks the kernel whether this machine is in FIPS mode.
	"crypto-policies.post": `set -e
policies=/usr/share/crypto-policies
mkdir -p /etc/crypto-policies/state /etc/crypto-policies/back-ends
cp "$policies/default-config" /etc/crypto-policies/config
echo DEFAULT >/etc/crypto-policies/state/current
for file in "$policies"/DEFAULT/*.txt; do
  name=${file##*/}
  ln -sf "$file" "/etc/crypto-policies/back-ends/${name%.txt}.config"
done
`,
}
