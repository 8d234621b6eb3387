package lock

import (
	"fmt"
	"strconv"
	"strings"
)

// EVRA is a package's epoch, version, release and architecture. Arch is empty
// where any will do. Compare for equality with ==; what is newer is rpm's
// business.
type EVRA struct {
	Epoch                  uint64
	Version, Release, Arch string
}

// ParseEVRA reads [epoch:]version-release.arch.
func ParseEVRA(s string) (EVRA, error) {
	dot := strings.LastIndexByte(s, '.')
	if dot < 0 {
		return EVRA{}, fmt.Errorf("%q has no dot; it must be [EPOCH:]VERSION-RELEASE.ARCH", s)
	}
	e, err := ParseEVR(s[:dot])
	if err != nil || dot == len(s)-1 || strings.ContainsRune(s[dot:], '-') {
		return EVRA{}, fmt.Errorf("%q is not of the form [EPOCH:]VERSION-RELEASE.ARCH", s)
	}
	e.Arch = s[dot+1:]
	return e, nil
}

// ParseEVR reads [epoch:]version-release.
func ParseEVR(s string) (EVRA, error) {
	var e EVRA
	rest := s
	bad := fmt.Errorf("%q is not of the form [EPOCH:]VERSION-RELEASE", s)
	if epoch, after, ok := strings.Cut(s, ":"); ok {
		n, err := strconv.ParseUint(epoch, 10, 32)
		if err != nil {
			return EVRA{}, bad
		}
		e.Epoch, rest = n, after
	}
	version, release, ok := strings.Cut(rest, "-")
	if !ok || version == "" || release == "" || strings.ContainsAny(rest, ": \t\n/") || strings.ContainsRune(release, '-') {
		return EVRA{}, bad
	}
	e.Version, e.Release = version, release
	return e, nil
}

// String leaves out an epoch of 0 and an empty architecture.
func (e EVRA) String() string {
	s := e.Version + "-" + e.Release
	if e.Epoch != 0 {
		s = fmt.Sprintf("%d:%s", e.Epoch, s)
	}
	if e.Arch != "" {
		s += "." + e.Arch
	}
	return s
}

// NEVRA is the name and all of the version, as rpm and dnf take it:
// name-epoch:version-release.arch.
func (e EVRA) NEVRA(name string) string { return name + "-" + e.String() }

// Exact is what the package is locked to; its Arch is empty when any will do.
func (p Package) Exact() (EVRA, error) {
	if p.EVRA != "" {
		return ParseEVRA(p.EVRA)
	}
	return ParseEVR(p.EVR)
}
