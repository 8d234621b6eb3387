package kola

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/machine"
)

// Where guests say how it went, and what. The names are upstream's.
const (
	loginPort   = "nestos.liveiso-success"
	loginWord   = "nestos-liveiso-success"
	donePort    = "testisocompletion"
	liveWord    = "live-test-OK"
	diskWord    = "nestos-installer-test-OK"
	targetFile  = "/etc/nosa-target.ign"
	installDisk = "/dev/vda"
	targetGiB   = 10
)

// login starts the live system as it is, without a config. A tree that tells by
// a port that somebody is logged in is believed; the others must come to the
// login prompt on the serial console.
func login(ctx context.Context, r *liveRun) error {
	o := r.options("")
	said := filepath.Join(r.dir, loginPort+".txt")
	o.ISO, o.Ports = r.ISO, []machine.Port{{Name: loginPort, File: said}}
	g, err := machine.Start(ctx, r.Runner, r.Log, o)
	if err != nil {
		return err
	}
	defer g.Close()
	limit := r.limit(g)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no login within %s", limit))
	defer cancel()
	healthy, stop := g.WhileHealthy(ctx)
	defer stop()
	for {
		text, _ := os.ReadFile(said)
		console, _ := os.ReadFile(o.ConsoleFile)
		if strings.Contains(string(text), loginWord) || loginPrompt(machine.Plain(console)) {
			return nil
		}
		select {
		case <-healthy.Done():
			return g.Explain(context.Cause(healthy))
		case <-time.After(wordPause):
		}
	}
}

// loginPrompt tells whether a console has come to a login.
func loginPrompt(console string) bool {
	for line := range strings.Lines(console) {
		line = strings.TrimSpace(line)
		if strings.HasSuffix(line, " login:") || strings.Contains(line, "(automatic login)") {
			return true
		}
	}
	return false
}

// asDisk starts the ISO as the disk that it is too, with a config in it.
func asDisk(ctx context.Context, r *liveRun) error {
	config, err := r.signals(r.liveChecks(""), liveWord, true).Config("config of " + r.scenario.Name)
	if err != nil {
		return err
	}
	o := r.options("")
	o.ISO, o.ISOAsDisk = r.ISO, true
	o.Bare, o.Direct, o.Configs = false, true, []machine.Config{config}
	return r.boot(ctx, o, donePort, liveWord, false)
}

// signals is a config that runs checks and says on the port how they went, and says
// so too when the system gives up. They run before the live system installs, or, of
// a system that is to stay, when its start is over.
func (r *liveRun) signals(checks, word string, over bool) machine.Fragment {
	port := "/dev/virtio-ports/" + donePort
	kind := "Type=oneshot\nRemainAfterExit=yes\n"
	if over { // not oneshot: the start is over when no job is left
		kind, checks = "Type=exec\n", overCheck+checks
	}
	return machine.Fragment{
		Files: []machine.File{{Path: "/etc/nosa-check", Mode: 0o755, Content: []byte(`#!/bin/bash
exec > ` + port + ` 2>&1
fail() { echo "FAIL $*"; exit 1; }
` + checks + `
echo ` + word + `
`)}},
		Units: []machine.Unit{{
			Name: "nosa-check.service", Enabled: true,
			Content: "[Unit]\nDescription=Tell how the start went\nBefore=nestos-install.service nestos-installer.service coreos-installer.service\n" +
				"Requires=dev-virtio\\x2dports-" + donePort + ".device\nAfter=dev-virtio\\x2dports-" + donePort + ".device\n\n" +
				"[Service]\n" + kind + "ExecStart=/bin/bash /etc/nosa-check\n\n[Install]\nWantedBy=multi-user.target\n",
		}, {
			Name: "nosa-emergency.service", Enabled: true,
			Content: "[Unit]\nDescription=Tell that the start failed\nDefaultDependencies=no\n\n[Service]\nType=oneshot\n" +
				"ExecStart=/bin/sh -c 'echo FAIL nestos-installer-test-entered-emergency-target > " + port + "'\n\n[Install]\nWantedBy=emergency.target\n",
		}},
	}
}

// overCheck waits for the end of the start, which must have left no failed unit.
const overCheck = `state=$(systemctl is-system-running --wait)
[ "$state" = running ] || fail "the system is $state: $(systemctl --failed --no-legend --plain | tr '\n' ' ')"
`

// commitCheck compares the running commit with the build's.
func (r *liveRun) commitCheck() string {
	if r.Commit == "" {
		return ""
	}
	return `at=$(tr ' ' '\n' < /proc/cmdline | sed -n 's/^ostree=//p')
root=$(readlink -f "/sysroot$at")
case $root in */` + r.Commit + `.*) ;; *) ostree admin status | grep -q '` + r.Commit + `' || fail "another commit runs: $root" ;; esac
`
}

func (r *liveRun) liveChecks(more string) string {
	return `[ -e /run/ostree-live ] || fail "this is not a live system"
` + r.commitCheck() + more
}

// diskChecks are what an installed system is held to.
const diskChecks = `[ ! -e /run/ostree-live ] || fail "this is a live system, not an installed one"
[ ! -e /boot/ignition ] && [ ! -e /boot/ignition.firstboot ] || fail "/boot/ignition* is left from the installation"
[ "$(cat /etc/nosa-installed)" = yes ] || fail "the config of the installer has no effect"
`

// install is a way to install.
type install struct {
	kargs     string // more arguments of the live system
	sector4K  bool
	multipath bool // of the installed system's disk
	pxe       bool
	online    bool // the root and the config come by HTTP
}

// run installs to an empty disk without a person, and starts from that.
func (i install) run(ctx context.Context, r *liveRun) error {
	disk := filepath.Join(r.scratch, "target.qcow2")
	if err := machine.CreateDisk(ctx, r.Runner, disk, targetGiB); err != nil {
		return err
	}
	installed := r.signals(diskChecks+r.commitCheck(), diskWord, true)
	installed.Files = append(installed.Files, machine.File{Path: "/etc/nosa-installed", Mode: 0o644, Content: []byte("yes\n")})
	target, err := installed.Config("config of the installed system")
	if err != nil {
		return err
	}
	o := r.options("-live")
	o.Disks = []machine.Disk{{File: disk, Sector4K: i.sector4K, GiB: targetGiB}}
	o.NoReboot = true
	if err := i.live(ctx, r, o, target); err != nil {
		return fmt.Errorf("installing: %w", err)
	}
	o = r.options("-disk")
	o.Image, o.Primary = disk, machine.Disk{Sector4K: i.sector4K, Multipath: i.multipath}
	o.KernelArgs = r.consoles() // what a disk for metal has no argument for
	if err := r.boot(ctx, o, donePort, diskWord, false); err != nil {
		return fmt.Errorf("the installed system: %w", err)
	}
	return nil
}

// live starts the live system, which installs and reboots.
func (i install) live(ctx context.Context, r *liveRun, o machine.Options, target machine.Config) error {
	checks := r.liveChecks("")
	if strings.Contains(i.kargs, "fromram") {
		checks = r.liveChecks("! findmnt -rno TARGET | grep -q '^/run/media/iso$' || fail \"the ISO is mounted although the system runs from memory\"\n")
	}
	live := r.signals(checks, liveWord, false)
	live.Files = append(live.Files, machine.File{Path: targetFile, Mode: 0o600, Content: target.JSON})
	config, err := live.Config("config of the live system")
	if err != nil {
		return err
	}
	kargs := strings.TrimSpace("nestos.inst.install_dev=" + installDisk + " " + i.kargs)
	if !i.pxe {
		o.ISO, o.KernelArgs = r.ISO, kargs+" nestos.inst.ignition_url=file://"+targetFile
		o.Bare, o.Direct, o.Configs = false, true, []machine.Config{config}
		return r.boot(ctx, o, donePort, liveWord, true)
	}
	net, err := r.netboot(ctx, i.online, kargs, config, target)
	if err != nil {
		return err
	}
	defer net.server.Close()
	o.Offline, o.Netboot = false, net.boot
	if o.Netboot == nil {
		return errors.New("nothing to start by the network")
	}
	return r.boot(ctx, o, donePort, liveWord, true)
}
