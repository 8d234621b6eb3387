package compose_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What is wrong with a config shows at the latest when the tree is composed: with
// the place in the config, and without a build.
func TestRefusalsOfTheCompose(t *testing.T) {
	l := newLab(t)
	write(t, l.config, "overlay.d/05conflict/usr/share/app/one.so", "another\n")
	write(t, l.config, "overlay.d/06dir/usr/share/app", "a file\n")
	for _, c := range []struct {
		name, keys string
		why        []string
	}{
		{"missing layer", quick + "ostree-layers: [overlay/none]\n", []string{`manifest.yaml:8:17: layer "overlay/none" does not exist`}},
		{"missing override layer", quick + "ostree-override-layers: [overlay/none]\n", []string{`layer "overlay/none" does not exist`}},
		{"conflicting layer", quick + "ostree-layers: [overlay/05conflict]\n", []string{"layer overlay/05conflict: /usr/share/app/one.so is in the tree already and differs"}},
		{"layer with a file for a directory", quick + "ostree-override-layers: [overlay/06dir]\n", []string{"layer overlay/06dir: /usr/share/app is a directory in the tree"}},
		{"failing script", quick + postprocess("echo no luck >&2", "exit 7"), []string{"manifest.yaml:9:5: postprocess script", "exit status 7", "no luck"}},
		{"script without interpreter", quick + "postprocess: [\"#!/usr/bin/none\\n\"]\n", []string{"manifest.yaml:8:15: postprocess script"}},
		{"no policy", "no-initramfs: true\n", []string{"the tree has no SELinux policy; add one to the packages, or say selinux: false in the manifest"}},
		{"no kernel", "selinux: false\n" + postprocess("rm -r /boot/vmlinuz-6.1.0"), []string{"the tree has no kernel; add a kernel package to the manifest, or say container: true"}},
		{"two kernels", "selinux: false\n" + postprocess("mkdir /usr/lib/modules/6.2.0; touch /usr/lib/modules/6.2.0/vmlinuz"), []string{"the tree has 2 kernels (6.1.0, 6.2.0)"}},
		{"failing dracut", "selinux: false\n" + postprocess("echo exit 3 >/usr/bin/dracut"), []string{"initramfs"}},
		{"os-release gone", quick + "mutate-os-release: \"12\"\nostree-layers: []\n" + "remove-from-packages: [[base, os-release]]\n", []string{"mutate-os-release"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			one := *l
			one.t = t
			one.refuses(c.keys, c.why...)
			require.NoFileExists(t, l.dir+"/builds/latest", "a compose that failed is no build")
		})
	}
	l.compose(quick)
}
