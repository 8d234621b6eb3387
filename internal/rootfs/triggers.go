package rootfs

import (
	"slices"
	"strconv"
	"strings"

	version "github.com/knqyf263/go-rpm-version"
)

// Bits of a condition's sense (rpmsenseFlags_e in rpm's rpmds.h).
const (
	senseLess          = 1 << 1
	senseGreater       = 1 << 2
	senseEqual         = 1 << 3
	senseTriggerin     = 1 << 16
	senseTriggerPrein  = 1 << 25
	senseAnyComparison = senseLess | senseGreater | senseEqual
)

// afterPost is the priority below which file triggers run after %post
// (TRIGGER_PRIORITY_BOUND in rpm's rpmtriggers.c); the default is 1000000.
const afterPost = 10000

// triggerKind is the kind of script that the tag and sense of a trigger mean, ""
// for what runs at removal only.
func triggerKind(tag string, sense int) string {
	switch {
	case sense&senseTriggerin != 0:
		return map[string]string{
			"TRIGGER": kindTriggerin, "FILETRIGGER": kindFileTriggerin, "TRANSFILETRIGGER": kindTransFileTriggerin,
		}[tag]
	case sense&senseTriggerPrein != 0 && tag == "TRIGGER":
		return kindTriggerPrein
	}
	return ""
}

// setOff gives the triggers that the installation of the package packages[i]
// sets off when those before it are installed: those of other packages that name
// it, then its own that name what is installed.
func setOff(packages []scripted, i int, kind string) []script {
	installed := packages[:i+1]
	if kind == kindTriggerPrein { // it comes before the installation
		installed = packages[:i]
	}
	var due []script
	run := func(t trigger, by scripted) {
		s := t.script
		// The numbers of instances of the trigger's package and of the other.
		s.args = []string{count(installed, s.pkg), count(installed, by.name)}
		due = append(due, s)
	}
	for _, owner := range installed {
		for _, t := range owner.triggers[kind] {
			if t.wants(packages[i]) {
				run(t, packages[i])
			}
		}
	}
	for _, t := range packages[i].triggers[kind] {
		if by := slices.IndexFunc(installed, t.wants); by >= 0 {
			run(t, installed[by])
		}
	}
	return due
}

// count is how many of the packages have the name.
func count(packages []scripted, name string) string {
	n := 0
	for _, p := range packages {
		if p.name == name {
			n++
		}
	}
	return strconv.Itoa(n)
}

// wants tells whether the package meets a condition of the trigger.
func (t trigger) wants(p scripted) bool {
	return slices.ContainsFunc(t.conditions, func(c condition) bool { return c.name == p.name && c.met(p.evr) })
}

// met compares as rpm does: where one side has no release, versions alone count.
func (c condition) met(evr string) bool {
	if c.sense&senseAnyComparison == 0 || c.version == "" {
		return true
	}
	have, want := version.NewVersion(evr), version.NewVersion(c.version)
	if want.Release() == "" {
		have = version.NewVersion(strings.TrimSuffix(evr, "-"+have.Release()))
	}
	order := have.Compare(want)
	return order < 0 && c.sense&senseLess != 0 || order > 0 && c.sense&senseGreater != 0 || order == 0 && c.sense&senseEqual != 0
}

// fileTriggersOf gives the file triggers that the files of packages[i] set off
// when those before it are installed: of all packages by priority, then its own
// for what was there before. early chooses between those that run before and after
// %post.
func fileTriggersOf(packages []scripted, files *fileLists, i int, early bool) []script {
	var due, own []trigger
	for _, owner := range packages[:i+1] {
		for _, t := range owner.triggers[kindFileTriggerin] {
			if (t.priority >= afterPost) == early {
				due = append(due, t)
			}
		}
	}
	for _, t := range packages[i].triggers[kindFileTriggerin] {
		if (t.priority >= afterPost) == early {
			own = append(own, t)
		}
	}
	if len(due) == 0 {
		return nil
	}
	scripts := matched(due, files.of(packages[i:i+1]))
	if len(own) == 0 {
		return scripts
	}
	return append(scripts, matched(own, append(files.of(packages[:i]), files.unowned...))...)
}

// matched gives the triggers for which there are files, the highest priority
// first, with the files on their input.
func matched(triggers []trigger, files []string) []script {
	triggers = slices.Clone(triggers)
	slices.SortStableFunc(triggers, func(a, b trigger) int { return b.priority - a.priority })
	var due []script
	for _, t := range triggers {
		var input strings.Builder
		for _, f := range files {
			if t.matches(f) {
				input.WriteString(f + "\n")
			}
		}
		if input.Len() == 0 {
			continue
		}
		s := t.script
		s.stdin, s.args = input.String(), []string{"0"} // as rpm calls them
		due = append(due, s)
	}
	return due
}

func (t trigger) matches(path string) bool {
	return slices.ContainsFunc(t.conditions, func(c condition) bool { return strings.HasPrefix(path, c.name) })
}
