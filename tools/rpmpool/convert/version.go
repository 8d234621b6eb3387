package convert

import (
	"strconv"
	"strings"

	"pault.ag/go/debian/version"
)

// EVR is a version as RPM writes it.
type EVR struct {
	Epoch   uint // 0: none
	Version string
	Release string
}

// NewEVR takes a Debian version apart. RPM allows no "-" inside a version, and
// wants a release: a package without a Debian revision gets release 0, which is
// what dpkg compares a missing revision as.
func NewEVR(v version.Version) EVR {
	release := v.Revision
	if release == "" {
		release = "0"
	}
	return EVR{Epoch: v.Epoch, Version: strings.ReplaceAll(v.Version, "-", "_"), Release: release}
}

// String is [EPOCH:]VERSION-RELEASE.
func (e EVR) String() string {
	s := e.Version + "-" + e.Release
	if e.Epoch > 0 {
		s = strconv.FormatUint(uint64(e.Epoch), 10) + ":" + s
	}
	return s
}

// Arch gives RPM's name of a Debian architecture; unknown ones keep theirs.
func Arch(debian string) string {
	switch debian {
	case "all":
		return "noarch"
	case "amd64":
		return "x86_64"
	case "arm64":
		return "aarch64"
	case "ppc64el":
		return "ppc64le"
	default:
		return debian
	}
}
