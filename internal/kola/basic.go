package kola

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/nestos/nosa-actions/internal/machine"
)

// Check is one promise that a built-in test holds a guest to: a command, run as
// the login user, and what is made of its outcome.
type Check struct {
	Name    string
	Command string
	Judge   func(expect Expect, out machine.Output) error
}

// Expect is what is known about the image before it boots.
type Expect struct {
	Commit   string // OSTree commit of the build; empty: not known
	Platform string // ignition.platform.id
}

func basicCase() (Case, error) {
	config, err := basicConfig.Config("Ignition config of the basic test")
	return Case{
		Name:   "basic",
		Config: config,
		Checks: basicChecks,
		Meta: Meta{
			Tags:         []string{"basic"},
			NonExclusive: true, // it only looks
			MinDiskGiB:   basicDiskGiB,
			Description:  "the system comes up as it was built: read-only, complete, configured by Ignition",
		},
	}, err
}

// basicDiskGiB is larger than usual images, so that growing to it shows.
const basicDiskGiB = 12

const (
	basicFile = "/etc/nosa-basic"
	basicWord = "written by Ignition"
	basicUnit = "nosa-basic.service"
	basicRun  = "/run/nosa-basic"
	basicUser = "nosabasic"
)

var basicConfig = machine.Fragment{
	Files: []machine.File{{Path: basicFile, Content: []byte(basicWord + "\n"), Mode: 0o640}},
	Units: []machine.Unit{{
		Name: basicUnit, Enabled: true,
		Content: "[Unit]\nDescription=Prove that a unit of the Ignition config runs\n\n" +
			"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'echo ran > " + basicRun + "'\n\n" +
			"[Install]\nWantedBy=multi-user.target\n",
	}},
	Users: []machine.Login{{Name: basicUser}},
}

var basicChecks = []Check{
	{"multi-user", "systemctl is-active multi-user.target", says("active")},
	{"usr-read-only", tryToWrite("/usr"), refused("/usr")},
	{"sysroot-read-only", tryToWrite("/sysroot"), refused("/sysroot")},
	{"commit", deployment, judgeCommit},
	{"kernel-arguments", "cat /proc/cmdline", judgeKernelArgs},
	{"machine-id", "cat /etc/machine-id", fits(regexp.MustCompile(`^[0-9a-f]{32}$`), "32 hexadecimal digits")},
	{"root-grown", rootSizes, judgeGrowth},
	{"ignition-file", "sudo cat " + basicFile + " && sudo stat -c %a " + basicFile, says(basicWord + "\n640")},
	{"ignition-unit", "cat " + basicRun + " && systemctl is-active " + basicUnit + " && systemctl is-enabled " + basicUnit, says("ran\nactive\nenabled")},
	{"ignition-user", "id -un " + basicUser + " && sudo test -d ~" + basicUser + " && echo home", says(basicUser + "\nhome")},
	{"boot-entry", bootEntry, says("consistent")},
	{"network", `awk '$2 == "00000000" { print "routed"; exit }' /proc/net/route`, says("routed")},
	{"first-boot-over", "sudo ls -d /boot/ignition.firstboot /boot/ignition 2>/dev/null; sudo ls -d /boot/loader*", judgeStamp},
}

// says wants exactly this output, white space around it aside.
func says(want string) func(Expect, machine.Output) error {
	return func(_ Expect, out machine.Output) error {
		if got := strings.TrimSpace(string(out.Stdout)); got != want {
			return fmt.Errorf("got %q, want %q%s", got, want, complaint(out))
		}
		return nil
	}
}

// fits wants output of a form.
func fits(form *regexp.Regexp, what string) func(Expect, machine.Output) error {
	return func(_ Expect, out machine.Output) error {
		if got := strings.TrimSpace(string(out.Stdout)); !form.MatchString(got) {
			return fmt.Errorf("got %q, want %s%s", got, what, complaint(out))
		}
		return nil
	}
}

// complaint is what a command wrote to standard error, as an appendix.
func complaint(out machine.Output) string {
	if text := strings.TrimSpace(string(out.Stderr)); text != "" {
		return " (" + text + ")"
	}
	return ""
}

// tryToWrite makes and removes a file, as root. What counts is whether that
// works, not what the mount options say.
func tryToWrite(dir string) string {
	probe := dir + "/.nosa-write-probe"
	return "sudo touch " + probe + " && sudo rm " + probe + " && echo writable"
}

func refused(dir string) func(Expect, machine.Output) error {
	return func(_ Expect, out machine.Output) error {
		switch stderr := string(out.Stderr); {
		case out.Status == 0 || strings.Contains(string(out.Stdout), "writable"):
			return fmt.Errorf("%s is writable", dir)
		case !strings.Contains(stderr, "Read-only file system"):
			return fmt.Errorf("could not find out whether %s is read-only%s", dir, complaint(out))
		}
		return nil
	}
}

// deployment prints where the booted deployment lies, from the kernel argument
// that chose it, and what ostree says about it if it is there.
const deployment = `for a in $(cat /proc/cmdline); do case $a in ostree=*) ` +
	`sudo readlink -f "/sysroot${a#ostree=}" ;; esac; done; ` +
	`if command -v ostree >/dev/null; then sudo ostree admin status | sed -n 's/^\* //p'; fi`

// deployed matches /sysroot/ostree/deploy/STATEROOT/deploy/COMMIT.SERIAL.
var deployed = regexp.MustCompile(`^/sysroot/ostree/deploy/([^/]+)/deploy/([0-9a-f]{64})\.(\d+)$`)

func judgeCommit(expect Expect, out machine.Output) error {
	lines := strings.Split(strings.TrimSpace(string(out.Stdout)), "\n")
	m := deployed.FindStringSubmatch(lines[0])
	if m == nil {
		return fmt.Errorf("not an OSTree deployment: %q%s", lines[0], complaint(out))
	}
	commit := m[2]
	if expect.Commit != "" && commit != expect.Commit {
		return fmt.Errorf("booted commit is %s, but the build has %s", commit, expect.Commit)
	}
	if want := m[1] + " " + commit + "." + m[3]; len(lines) > 1 && lines[1] != want {
		return fmt.Errorf("ostree says %q is booted, the kernel argument says %q", lines[1], want)
	}
	return nil
}

func judgeKernelArgs(expect Expect, out machine.Output) error {
	values := map[string][]string{}
	for arg := range strings.FieldsSeq(string(out.Stdout)) {
		key, value, _ := strings.Cut(arg, "=")
		values[key] = append(values[key], value)
	}
	var faults []error
	if len(values["ostree"]) != 1 {
		faults = append(faults, fmt.Errorf("ostree= is there %d times, not once", len(values["ostree"])))
	}
	if ids := values["ignition.platform.id"]; len(ids) != 1 || ids[0] != expect.Platform {
		faults = append(faults, fmt.Errorf("ignition.platform.id is %q, want %q", strings.Join(ids, " "), expect.Platform))
	}
	for _, arg := range []string{"single", "emergency", "rescue", "rd.break"} {
		if values[arg] != nil {
			faults = append(faults, fmt.Errorf("%s does not belong there", arg))
		}
	}
	return errors.Join(faults...)
}

// bootEntry holds the running kernel and its arguments against the boot entry of
// the booted deployment, and that against the files it names.
const bootEntry = `sudo bash -c '
fail() { echo "$*"; exit; }
kernel=$(uname -r)
[ -d "/usr/lib/modules/$kernel" ] || fail "the tree has no modules for the running kernel $kernel"
args=" $(cat /proc/cmdline) "
at=${args##* ostree=} at=${at%% *}
entry=$(grep -lE "^options .*ostree=$at( |\$)" /boot/loader/entries/*.conf) || fail "no boot entry for ostree=$at"
path() { for root in /boot ""; do [ ! -s "$root$1" ] || { echo "$root$1"; return; }; done; fail "$entry names $1, which is not there"; }
while read -r key value; do
  case $key in
  linux)
    file=$(path "$value"); [ -f "$file" ] || fail "$file"
    built=/usr/lib/modules/$kernel/vmlinuz
    [ ! -e "$built" ] || [ "$(sha256sum <"$file")" = "$(sha256sum <"$built")" ] || fail "$file is not the kernel of the tree, $built"
    ;;
  initrd)
    for name in $value; do file=$(path "$name"); [ -f "$file" ] || fail "$file"; done
    ;;
  options)
    for word in $value; do
      case $word in \$*) continue ;; esac
      # The first boot writes down where the root is, for those that follow.
      case $args:$word in *" ignition.firstboot "*:root=* | *" ignition.firstboot "*:boot=* | *" ignition.firstboot "*:rw | *" ignition.firstboot "*:rootflags=*) continue ;; esac
      case $args in *" $word "*) ;; *) fail "$entry has the argument $word, but the kernel was started without it" ;; esac
    done
    ;;
  esac
done < "$entry"
echo consistent'`

// rootSizes prints the bytes of the root file system and of its disk.
const rootSizes = `df -B1 --output=size /sysroot | tail -n 1; ` +
	`lsblk -bndo SIZE "/dev/$(lsblk -no PKNAME "$(findmnt -nvo SOURCE /sysroot | head -n 1)" | head -n 1)"`

// rootShare is the least part of the disk, in percent, that the root file system
// must have: the rest is what other partitions and the file system's own tables
// may take.
const rootShare = 80

func judgeGrowth(_ Expect, out machine.Output) error {
	words := strings.Fields(string(out.Stdout))
	if len(words) != 2 {
		return fmt.Errorf("could not find out the sizes: %q%s", words, complaint(out))
	}
	root, err1 := strconv.ParseInt(words[0], 10, 64)
	disk, err2 := strconv.ParseInt(words[1], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if root*100 < disk*rootShare {
		return fmt.Errorf("the root file system has %d MiB of the disk's %d MiB: it did not grow", root>>20, disk>>20)
	}
	return nil
}

func judgeStamp(_ Expect, out machine.Output) error {
	var loader bool
	for name := range strings.FieldsSeq(string(out.Stdout)) {
		if path.Dir(name) == "/boot" && strings.HasPrefix(path.Base(name), "ignition") {
			return fmt.Errorf("%s is still there: the next boot would be a first boot again", name)
		}
		loader = loader || strings.HasPrefix(name, "/boot/loader")
	}
	if !loader {
		return fmt.Errorf("/boot is not mounted%s", complaint(out))
	}
	return nil
}
