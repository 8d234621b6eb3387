package rpmrepo

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/diag"
)

// solveAnswer is what the embedded program writes.
type solveAnswer struct {
	Packages []struct {
		Package
		Path string `json:"path"`
	} `json:"packages"`
	Missing        []int               `json:"missing"` // indices of Request.Install
	Problem        string              `json:"problem"` // no set of packages satisfies all
	Failure        string              `json:"failure"` // files cannot be had
	UnmatchedLocks []string            `json:"unmatched_locks"`
	Unreachable    []unreadable        `json:"unreachable"`
	Skipped        []unreadable        `json:"skipped"`
	Foreign        []string            `json:"foreign"` // overrides of another architecture
	Keys           map[string][]string `json:"keys"`    // repository -> files with its keys, if it checks signatures
	Repos          map[string]int64    `json:"repos"`
}

// unreadable is a repository whose metadata could not be had.
type unreadable struct {
	Repo string   `json:"repo"`
	URLs []string `json:"urls"`
	Why  string   `json:"why"`
}

// String names the repository, where it was looked for and what went wrong.
func (u unreadable) String() string {
	s := fmt.Sprintf("repository %q cannot be read", u.Repo)
	if len(u.URLs) > 0 {
		s += " from " + withoutSecrets(strings.Join(u.URLs, ", "))
	}
	return s + ": " + oneLine(u.Why)
}

// ErrUnsolvable is returned when the packages asked for exclude one another, or
// need something that no repository has.
var ErrUnsolvable = errors.New("the packages do not fit together")

// missing are findings on packages that no repository has.
type missing struct{ error }

func (m missing) Unwrap() error { return m.error }

// Is makes it an ErrUnsolvable without another word in the message.
func (m missing) Is(target error) bool { return target == ErrUnsolvable }

// err turns what dnf could not do into words for the author of the config.
func (a *solveAnswer) err(req Request) error {
	if len(a.Unreachable) > 0 {
		return unreachable(a.Unreachable, req.Repos)
	}
	if a.Failure != "" {
		return fmt.Errorf("get packages: %s", oneLine(a.Failure))
	}
	if a.Problem != "" {
		return fmt.Errorf("%w: %s", ErrUnsolvable, oneLine(a.Problem))
	}
	var found diag.List
	for _, index := range a.Missing {
		w := req.Install[index]
		from := "in none of the repositories " + strings.Join(req.Enable, ", ")
		if w.Repo != "" {
			from = "not in repository " + w.Repo
		}
		found.Add(diag.Finding{
			Pos: w.Pos, Message: fmt.Sprintf("package %q is %s", w.Spec, from), Mend: mendMissing(w.Spec, req),
		})
	}
	if err := found.Err(); err != nil {
		return missing{err}
	}
	if len(a.Packages) == 0 {
		return fmt.Errorf("nothing to install; the manifest lists no packages")
	}
	return nil
}

func unreachable(repos []unreadable, set *Set) error {
	var found diag.List
	for _, u := range repos {
		f := diag.Finding{Message: u.String(), Mend: mendUnreadable(u)}
		if repo := set.Find(u.Repo); repo != nil {
			f.Pos = repo.Pos
		}
		found.Add(f)
	}
	return found.Err()
}

func mendUnreadable(u unreadable) string {
	switch {
	case strings.Contains(u.Why, "get gpgkey"):
		return "put the key beside the .repo file and write gpgkey=NAME"
	case strings.Contains(u.Why, "repomd.xml.asc"), strings.Contains(u.Why, "GPG"):
		return "repo_gpgcheck=1 needs repodata/repomd.xml.asc, signed with a key of gpgkey"
	}
	return ""
}

func mendMissing(spec string, req Request) string {
	lock, locked := req.Locks[spec]
	switch {
	case slices.Contains(req.Exclude, spec):
		return "it is in exclude-packages; take it out of one of the two lists"
	case locked:
		return fmt.Sprintf("the lockfile wants version %s, which may be gone; run fetch --update-lockfile", lock.Version)
	case req.Strict:
		return "with --strict only locked packages are seen; run fetch --update-lockfile"
	}
	return ""
}

func (a *solveAnswer) warnings(req Request) []string {
	var said []string
	for _, name := range a.UnmatchedLocks {
		said = append(said, fmt.Sprintf("no repository has the locked package %s %s", name, req.Locks[name].Version))
	}
	for _, u := range a.Skipped {
		said = append(said, u.String()+"; skip_if_unavailable lets the fetch go on without it")
	}
	for _, path := range a.Foreign {
		said = append(said, fmt.Sprintf("override %s is not for %s and is passed over", filepath.Base(path), req.BaseArch))
	}
	return said
}

func oneLine(s string) string { return withoutSecrets(strings.Join(strings.Fields(s), " ")) }

// The parts of a URL that give access: user and password before the host, and
// the query, where signed URLs have theirs.
var (
	userinfo = regexp.MustCompile(`://[^/\s]*@`)
	query    = regexp.MustCompile(`(://[^\s?]+)\?[^\s,;)]*`)
)

func withoutSecrets(s string) string {
	return query.ReplaceAllString(userinfo.ReplaceAllString(s, "://"), "$1")
}
