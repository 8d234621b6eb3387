package rootfs

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The kinds of scripts that run, spelt as in ignoredScripts.
const (
	kindPrein              = "prein"
	kindPost               = "post"
	kindPosttrans          = "posttrans"
	kindTriggerPrein       = "triggerprein"
	kindTriggerin          = "triggerin"
	kindFileTriggerin      = "filetriggerin"
	kindTransFileTriggerin = "transfiletriggerin"
)

// script is one script of one package, ready to run.
type script struct {
	pkg, kind string
	argv      []string // the interpreter; "<lua>" is rpm's own
	body      string
	bare      bool     // there is no body: the interpreter is all there is to run
	flags     int      // scriptExpand, scriptQueryFormat
	args      []string // given to the script, not to a bare interpreter
	stdin     string
}

// Flags of a script, of the tags PREINFLAGS and so on (rpmscriptFlags_e).
const (
	scriptExpand      = 1 << 0 // %post -e: the body has macros
	scriptQueryFormat = 1 << 1 // %post -q: the body is a query format
)

// name is how ignoredScripts and the log call the script.
func (s script) name() string { return s.pkg + "." + s.kind }

// percent is how spec files call the script.
func (s script) percent() string {
	if s.kind == kindPrein {
		return "%pre"
	}
	return "%" + s.kind
}

// trigger is a script that runs because of what else is installed.
type trigger struct {
	script
	priority   int // of file triggers, the highest first
	conditions []condition
}

// condition is one name of a trigger: a package, or the beginning of a path.
type condition struct {
	name, version string
	sense         int // of rpmsenseFlags_e
}

// scripted is an installed package with its scripts.
type scripted struct {
	instance int // number in the database
	name     string
	evr      string              // [epoch:]version-release
	scripts  map[string][]script // by kind; at most one of each
	triggers map[string][]trigger
}

// scripted reads the scripts of all packages in order of installation: rpm
// numbers the packages of its database as it installs them.
func (t *Tree) scripted(ctx context.Context) ([]scripted, error) {
	out, err := t.query(ctx, scriptFormat())
	if err != nil {
		return nil, err
	}
	return parseScripted(out)
}

// scriptFormat is a query format that writes one record a line, its words quoted
// as for a shell: they survive whatever a script holds.
func scriptFormat() string {
	format := `package %{DBINSTANCE} %{NAME:shescape} %{EVR:shescape}\n`
	for tag, kind := range map[string]string{"PREIN": kindPrein, "POSTIN": kindPost, "POSTTRANS": kindPosttrans} {
		format += fmt.Sprintf(`%%|%[1]sPROG?{script %[2]s %%{%[1]sFLAGS} %%|%[1]s?{body %%{%[1]s:shescape}}:{bare ''}|[ %%{%[1]sPROG:shescape}]\n}|`, tag, kind)
	}
	for _, tag := range []string{"FILETRIGGER", "TRANSFILETRIGGER", "TRIGGER"} {
		priority := "%{" + tag + "PRIORITIES}"
		if tag == "TRIGGER" {
			priority = "0"
		}
		format += fmt.Sprintf(`%%|%[1]sSCRIPTS?{[trigger %[1]s %[2]s %%{%[1]sSCRIPTFLAGS} %%{%[1]sSCRIPTS:shescape} %%{%[1]sSCRIPTPROG:shescape}\n]`+
			`[condition %[1]s %%{%[1]sINDEX} %%{%[1]sFLAGS} %%{%[1]sNAME:shescape} %%{%[1]sVERSION:shescape}\n]}|`, tag, priority)
	}
	return format
}

func parseScripted(text string) ([]scripted, error) {
	var list []scripted
	for _, record := range shellWords(text) {
		if record[0] == "package" && len(record) == 4 {
			list = append(list, scripted{
				instance: number(record[1]), name: record[2], evr: record[3],
				scripts: map[string][]script{}, triggers: map[string][]trigger{},
			})
			continue
		}
		if len(list) == 0 || !list[len(list)-1].add(record) {
			return nil, fmt.Errorf("rpm wrote %q", record)
		}
	}
	for i := range list {
		list[i].sortTriggers()
	}
	slices.SortStableFunc(list, func(a, b scripted) int { return a.instance - b.instance })
	return list, nil
}

// add takes up a record of the package and tells whether it is well formed.
func (p *scripted) add(record []string) bool {
	switch {
	case record[0] == "script" && len(record) > 5:
		p.scripts[record[1]] = []script{{
			pkg: p.name, kind: record[1], flags: number(record[2]), bare: record[3] == "bare", body: record[4],
			argv: record[5:], args: []string{"1"},
		}}
	case record[0] == "trigger" && len(record) > 5:
		p.triggers[record[1]] = append(p.triggers[record[1]], trigger{
			script:   script{pkg: p.name, flags: number(record[3]), body: record[4], argv: record[5:]},
			priority: number(record[2]),
		})
	case record[0] == "condition" && len(record) == 6:
		triggers, index := p.triggers[record[1]], number(record[2])
		if index >= len(triggers) {
			return false
		}
		triggers[index].conditions = append(triggers[index].conditions,
			condition{sense: number(record[3]), name: record[4], version: record[5]})
	default:
		return false
	}
	return true
}

// sortTriggers files the triggers, so far by tag, by kind; those for removal go.
// All conditions of a trigger are for the same event.
func (p *scripted) sortTriggers() {
	byKind := map[string][]trigger{}
	for tag, triggers := range p.triggers {
		for _, t := range triggers {
			if len(t.conditions) == 0 {
				continue
			}
			if t.kind = triggerKind(tag, t.conditions[0].sense); t.kind != "" {
				byKind[t.kind] = append(byKind[t.kind], t)
			}
		}
	}
	p.triggers = byKind
}

// number reads a number of rpm's; "(none)" is 0.
func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// shellWords splits text into lines of words, where a part in single quotes may
// hold anything and a backslash outside of quotes protects one byte.
func shellWords(text string) [][]string {
	var records [][]string
	var record []string
	var word strings.Builder
	started := false
	endWord := func() {
		if started {
			record = append(record, word.String())
		}
		word.Reset()
		started = false
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '\'':
			started = true
			end := strings.IndexByte(text[i+1:], '\'')
			if end < 0 {
				end = len(text) - i - 1
			}
			word.WriteString(text[i+1 : i+1+end])
			i += end + 1
		case '\\':
			if i++; i < len(text) {
				word.WriteByte(text[i])
				started = true
			}
		case ' ':
			endWord()
		case '\n':
			endWord()
			if len(record) > 0 {
				records = append(records, record)
			}
			record = nil
		default:
			word.WriteByte(c)
			started = true
		}
	}
	return records
}
