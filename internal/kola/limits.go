package kola

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/document"
)

// limits are the names to which tests and denylist entries may be limited, by
// their key in a header. They are more than we run, since a config's tests may
// run elsewhere too.
var limits = map[string][]string{
	"architectures": {"x86_64", "aarch64", "ppc64le", "s390x", "riscv64", "loongarch64"},
	"platforms": {
		"qemu", "qemu-iso", "iso", "qemu-unpriv", "aliyun", "aws", "azure", "do", "esx", "gce", "gcp", "openstack", "packet",
	},
	"distros": {"fcos", "rhcos", "scos", "nestos"},
}

// warnUnknown warns of a name that no run ever has.
func warnUnknown(pos diag.Pos, key, name string, known []string, found *diag.List) {
	if slices.Contains(known, name) {
		return
	}
	f := diag.Finding{
		Severity: diag.Warning, Pos: pos, Message: fmt.Sprintf("%s: %q is not known", key, name),
		Mend: "known are " + strings.Join(known, ", "),
	}
	if near, ok := document.Nearest(name, known); ok {
		f.Mend = fmt.Sprintf("did you mean %q?", near)
	}
	found.Add(f)
}
