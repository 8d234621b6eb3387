package rootfs

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nestos/nosa-actions/internal/diag"
)

// AccountKind tells users from groups.
type AccountKind int

// The two kinds of accounts.
const (
	Users  AccountKind = iota // passwd(5)
	Groups                    // group(5)
)

// File is the name that the kind's file has in /etc and in /usr/lib.
func (k AccountKind) File() string {
	if k == Groups {
		return "group"
	}
	return "passwd"
}

// Shadow is the name of the file in /etc with the kind's passwords.
func (k AccountKind) Shadow() string {
	if k == Groups {
		return "gshadow"
	}
	return "shadow"
}

func (k AccountKind) noun() string {
	if k == Groups {
		return "group"
	}
	return "user"
}

func (k AccountKind) idName() string {
	if k == Groups {
		return "gid"
	}
	return "uid"
}

// Account is a user or a group.
type Account struct {
	Name string
	ID   uint32  // uid of a user, gid of a group
	GID  *uint32 // primary group of a user; nil where nothing says
	Pos  diag.Pos
}

// Line writes the account as its file has it: without a password, a home or a
// shell to log in with. A user without a group has the one of the same number.
func (a Account) Line(kind AccountKind) string {
	if kind == Groups {
		return fmt.Sprintf("%s:x:%d:\n", a.Name, a.ID)
	}
	gid := a.ID
	if a.GID != nil {
		gid = *a.GID
	}
	return fmt.Sprintf("%s:x:%d:%d::/:/sbin/nologin\n", a.Name, a.ID, gid)
}

// Locked writes the lines of shadow(5) or gshadow(5) that let nobody log in to
// the accounts of text.
func Locked(kind AccountKind, text string) string {
	rest := ":!*:::::::\n"
	if kind == Groups {
		rest = ":!*::\n"
	}
	var b strings.Builder
	for line := range strings.Lines(MergeAccounts(text)) {
		name, _, _ := strings.Cut(line, ":")
		b.WriteString(name + rest)
	}
	return b.String()
}

// ParseAccounts reads text in the format of passwd(5) or group(5). Blank lines,
// comments and entries of NIS are passed over, as the C library does; numbers
// may come twice. A line that is none of these is a finding at its place in
// file.
func ParseAccounts(kind AccountKind, text, file string, found *diag.List) []Account {
	var accounts []Account
	number := 0
	for line := range strings.Lines(text) {
		number++
		if !isAccount(line) {
			continue
		}
		pos := diag.Pos{File: file, Line: number, Column: 1}
		a, err := parseAccount(kind, strings.TrimSpace(line))
		if err != nil {
			found.Addf(pos, "%v", err)
			continue
		}
		a.Pos = pos
		accounts = append(accounts, a)
	}
	return accounts
}

// isAccount tells entries from what may stand between them.
func isAccount(line string) bool {
	line = strings.TrimSpace(line)
	return line != "" && !strings.ContainsRune("#+-", rune(line[0]))
}

func parseAccount(kind AccountKind, line string) (Account, error) {
	f := strings.Split(line, ":")
	least, form := 4, "NAME:PASSWORD:UID:GID:COMMENT:HOME:SHELL"
	if kind == Groups {
		least, form = 3, "NAME:PASSWORD:GID:MEMBERS"
	}
	if len(f) < least || f[0] == "" {
		return Account{}, fmt.Errorf("%q is no %s; expected %s", line, kind.noun(), form)
	}
	id, err := parseID(f[2])
	if err != nil {
		return Account{}, fmt.Errorf("%s %q: %s %w", kind.noun(), f[0], kind.idName(), err)
	}
	a := Account{Name: f[0], ID: id}
	if kind == Users {
		gid, err := parseID(f[3])
		if err != nil {
			return Account{}, fmt.Errorf("user %q: gid %w", f[0], err)
		}
		a.GID = &gid
	}
	return a, nil
}

func parseID(s string) (uint32, error) {
	id, err := strconv.ParseUint(s, 10, 32)
	if err != nil || id == 1<<32-1 { // the highest stands for "no such user"
		return 0, fmt.Errorf("%q is not a number from 0 to 4294967294", s)
	}
	return uint32(id), nil
}

// MergeAccounts joins files of accounts into one: entries only, the first of
// each name.
func MergeAccounts(texts ...string) string {
	var b strings.Builder
	seen := map[string]bool{}
	for _, text := range texts {
		for line := range strings.Lines(text) {
			if !isAccount(line) {
				continue
			}
			line = strings.TrimSpace(line)
			name, _, _ := strings.Cut(line, ":")
			if !seen[name] {
				seen[name] = true
				b.WriteString(line + "\n")
			}
		}
	}
	return b.String()
}
