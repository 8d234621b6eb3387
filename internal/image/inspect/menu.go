package inspect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/format/bls"
	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/imageconf"
)

// menu reads the boot entries.
func (i *inspector) menu(boot files) {
	i.loaderLink(boot)
	names := boot.names("/loader/entries", "*.conf")
	switch {
	case len(names) == 0:
		i.bad("boot:/loader/entries", "there is no boot entry")
	case len(names) > 1:
		i.bad("boot:/loader/entries", "there are %d boot entries instead of one: %s", len(names), strings.Join(names, ", "))
	}
	for _, name := range names {
		at := "/loader/entries/" + name
		text, err := boot.text(at)
		if err != nil {
			i.bad("boot:"+at, "%s", plainError(err))
			continue
		}
		e, err := bls.Parse(text)
		if err != nil {
			i.bad("boot:"+at, "%v", err)
			continue
		}
		i.img.Entries = append(i.img.Entries, Entry{File: name, Title: e.Title, Version: e.Version, Kernel: e.Linux, Initrd: e.Initrd, Kargs: e.Options})
		i.judgeKargs("boot:"+at, lineOf(text, "options"), e.Options)
		i.syslinux(boot, e)
	}
}

// loaderLink looks at the link by which ostree switches between menus.
func (i *inspector) loaderLink(boot files) {
	l, err := boot.lstat("/loader")
	switch {
	case err != nil:
		i.bad("boot:/loader", "is missing")
	case !l.link():
		i.bad("boot:/loader", "is no link; ostree switches menus by it")
	case l.Target != "loader.0" && l.Target != "loader.1":
		i.bad("boot:/loader", "leads to %q instead of loader.0 or loader.1", l.Target)
	case !boot.has("/loader"):
		i.bad("boot:/loader", "leads to %s, which is missing", l.Target)
	}
}

// lineOf is the number of the first line with a key; 0: none.
func lineOf(text []byte, key string) int {
	for n, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), key+" ") {
			return n + 1
		}
	}
	return 0
}

// syslinux holds the other menu, for GRUBs that cannot read entries, against the
// entry.
func (i *inspector) syslinux(boot files, e bls.Entry) {
	const at = "/loader/syslinux.cfg"
	text, err := boot.text(at)
	if err != nil {
		return
	}
	// ostree has these paths as they are with the file system at /boot.
	if !bytes.Contains(text, []byte("KERNEL /boot"+e.Linux+"\n")) && !bytes.Contains(text, []byte("KERNEL "+e.Linux+"\n")) {
		i.bad("boot:"+at, "does not boot the kernel of the boot entry")
	}
	if !bytes.Contains(text, []byte("APPEND "+strings.Join(e.Options, " ")+"\n")) {
		i.bad("boot:"+at, "has other kernel arguments than the boot entry")
	}
}

// judgeKargs looks at the kernel arguments of the image as it is delivered.
func (i *inspector) judgeKargs(where string, line int, kargs []string) {
	bad := func(format string, args ...any) { i.badLine(where, line, format, args...) }
	values := func(name string) (list []string) {
		for _, arg := range kargs {
			if value, ok := strings.CutPrefix(arg, name+"="); ok {
				list = append(list, value)
			}
		}
		return list
	}
	switch platforms := values("ignition.platform.id"); {
	case len(platforms) == 0:
		bad("the kernel argument ignition.platform.id is missing")
	case len(platforms) > 1:
		bad("the kernel argument ignition.platform.id is there %d times", len(platforms))
	case i.want.Platform != "" && platforms[0] != i.want.Platform:
		bad("the kernel argument ignition.platform.id is %s instead of %s", platforms[0], i.want.Platform)
	}
	switch {
	case !slices.Contains(kargs, image.FirstBootKarg):
		bad("the kernel argument %s, which GRUB expands, is missing: Ignition would never run", image.FirstBootKarg)
	case slices.ContainsFunc(kargs, func(a string) bool { return a == "ignition.firstboot" || strings.HasPrefix(a, "ignition.firstboot=") }):
		bad("the kernel argument ignition.firstboot stands there for good: Ignition would run on every boot")
	}
	if len(values("ostree")) != 1 {
		bad("the kernel argument ostree is there %d times instead of once", len(values("ostree")))
	}
	for _, name := range []string{"root", "boot"} {
		if len(values(name)) > 0 {
			bad("the kernel argument %s=%s is written by the first boot and must not be there yet", name, values(name)[0])
		}
	}
}

// grub looks at the configuration that GRUB runs.
func (i *inspector) grub(boot files) {
	const at, where = "/grub2/grub.cfg", "boot:/grub2/grub.cfg"
	if dir, err := boot.lstat("/grub2"); err == nil && dir.Mode.Perm() != 0o700 {
		i.bad("boot:/grub2", "has the mode %04o instead of 0700", dir.Mode.Perm())
	}
	text, err := boot.text(at)
	if err != nil {
		i.bad(where, "%s", plainError(err))
		return
	}
	before, rest, started := strings.Cut(string(text), imageconf.ConsoleStart+"\n")
	console, after, ended := strings.Cut(rest, imageconf.ConsoleEnd+"\n")
	if !started || !ended {
		i.bad(where, "the markers of the console settings are missing")
		return
	}
	i.img.Console = strings.FieldsFunc(console, func(r rune) bool { return r == '\n' })
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "set timeout="); ok {
			i.img.Timeout = strings.TrimSpace(value)
		}
	}
	if i.config != nil && i.config.GrubScript != "" {
		plain := before + imageconf.ConsoleStart + "\n" + imageconf.ConsoleEnd + "\n" + after
		if line := firstDifference(i.config.GrubScript, plain); line > 0 {
			i.badLine(where, line, "differs from the script that the image was configured with")
		}
		return
	}
	for _, word := range []string{"blscfg", "ignition.firstboot"} {
		if !strings.Contains(string(text), word) {
			i.bad(where, "does nothing with %s", word)
		}
	}
}

// firstDifference is the number of the first line that differs; 0: none.
func firstDifference(want, got string) int {
	if want == got {
		return 0
	}
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for n := range min(len(a), len(b)) {
		if a[n] != b[n] {
			return n + 1
		}
	}
	return min(len(a), len(b)) + 1
}

// consoles holds kernel arguments and GRUB's console settings against the table
// of platforms: the image's own, and the one of the build's config.
func (i *inspector) consoles(boot files) {
	const at, where = "/nestos/platforms.json", "boot:/nestos/platforms.json"
	var own map[string]imageconf.Console
	text, err := boot.text(at)
	switch {
	case err == nil:
		if err := json.Unmarshal(text, &own); err != nil {
			i.bad(where, "is no table of platforms: %v", err)
			return
		}
	case i.want.Platforms[i.arch()] != nil:
		i.bad(where, "%s", plainError(err))
		own = i.want.Platforms[i.arch()]
	default:
		return
	}
	if want, known := i.want.Platforms[i.arch()]; known && fmt.Sprint(want) != fmt.Sprint(own) {
		i.bad(where, "differs from platforms.yaml of the build")
		own = want
	}
	for _, e := range i.img.Entries {
		platform := ""
		var consoles []string
		for _, arg := range e.Kargs {
			if id, ok := strings.CutPrefix(arg, "ignition.platform.id="); ok {
				platform = id
			}
			if strings.HasPrefix(arg, "console=") {
				consoles = append(consoles, arg)
			}
		}
		if i.want.Platform != "" {
			platform = i.want.Platform
		}
		i.judgeConsole(path.Join("/loader/entries", e.File), own[platform], consoles)
	}
}

func (i *inspector) judgeConsole(entry string, want imageconf.Console, consoles []string) {
	var kargs []string
	for _, arg := range want.KernelArguments {
		kargs = append(kargs, strings.Fields(arg)...)
	}
	wanted := slices.DeleteFunc(slices.Clone(kargs), func(a string) bool { return !strings.HasPrefix(a, "console=") })
	if !slices.Equal(wanted, consoles) {
		i.bad("boot:"+entry, "the console arguments are [%s] instead of [%s] of the platform", strings.Join(consoles, " "), strings.Join(wanted, " "))
	}
	if !slices.Equal(want.GrubCommands, i.img.Console) {
		i.bad("boot:/grub2/grub.cfg", "the console settings are [%s] instead of [%s] of the platform", strings.Join(i.img.Console, "; "), strings.Join(want.GrubCommands, "; "))
	}
}

// firstBoot looks whether the image is as fresh as the build made it.
func (i *inspector) firstBoot(boot files) {
	stamp, err := boot.lstat("/ignition.firstboot")
	switch {
	case err != nil:
		i.bad("boot:/ignition.firstboot", "the stamp of the first boot is missing: Ignition would never run")
	case !stamp.regular():
		i.bad("boot:/ignition.firstboot", "is no file")
	default:
		i.img.FirstBoot = true
		if stamp.Size > 0 {
			i.bad("boot:/ignition.firstboot", "is not empty; GRUB would run what is in it")
		}
	}
	for name, what := range map[string]string{
		"/ignition/config.ign":      "an Ignition config that every machine would get",
		"/grub2/bootuuid.cfg":       "what the first boot writes; the image was booted",
		"/.root_uuid":               "what the first boot writes; the image was booted",
		"/nestos-firstboot-network": "network settings that every machine would get",
		"/grub2/user.cfg":           "a password for the boot menu, which every machine would have",
	} {
		if _, err := boot.lstat(name); err == nil {
			i.bad("boot:"+name, "is %s", what)
		}
	}
}
