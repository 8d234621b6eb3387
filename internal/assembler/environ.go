package assembler

import (
	"slices"
	"strings"
)

// allowed are the variables that a stage may see wherever it runs. None of them
// is a secret but what a person puts into a proxy's address.
var allowed = []string{
	"COSA_NO_KVM", "COSA_SKIP_OVERLAY", "COSA_SUPPRESS_DEPCHECK", "NOSA_POOL", "SOURCE_DATE_EPOCH",
	"SSL_CERT_DIR", "SSL_CERT_FILE", "TERM", "TZ",
	"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
}

// allowedOnHost are those that a stage may see beside them on this machine; in
// a container they would tell of the runner.
var allowedOnHost = []string{"HOME", "LOGNAME", "PATH", "TMPDIR", "USER"}

// hostEnvironment is the environment of a stage on this machine.
func hostEnvironment(environ []string) []string {
	return environment(environ, slices.Concat(allowed, allowedOnHost))
}

// containerEnvironment is what is added to an image's own variables.
func containerEnvironment(environ []string) []string { return environment(environ, allowed) }

// environment keeps the variables of those names, and fixes the locale.
func environment(environ, names []string) []string {
	var keep []string
	home := false
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if slices.Contains(names, name) {
			keep = append(keep, entry)
			home = home || name == "HOME"
		}
	}
	if !home {
		keep = append(keep, "HOME=/root") // dnf refuses to start without
	}
	slices.Sort(keep)
	return append(keep, "LC_ALL=C.UTF-8")
}
