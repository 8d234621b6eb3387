package page

import (
	"strings"
	"unicode"

	"github.com/nestos/nosa-actions/internal/format/streammeta"
)

// quote makes one word of a command for a POSIX shell. Characters that a
// terminal would act on are left out.
func quote(word string) string {
	word = strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return -1
		}
		return r
	}, word)
	if word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/:@%+,-") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// line is a command of words; those after verbatim words are quoted.
func line(verbatim string, words ...string) string {
	for _, w := range words {
		verbatim += " " + quote(w)
	}
	return verbatim
}

// download fetches a file; parts are joined on the way.
func download(base string, a streammeta.Asset) string {
	if len(a.Parts) == 0 {
		return line("curl -fLO", base+"/"+a.Name)
	}
	urls := make([]string, len(a.Parts))
	for i, p := range a.Parts {
		urls[i] = base + "/" + p.Name
	}
	return line("curl -fL", urls...) + " > " + quote(a.Name)
}

// check holds a downloaded file against its checksum.
func check(a streammeta.Asset) string {
	return "echo " + quote(a.SHA256+"  "+a.Name) + " | sha256sum --check"
}

// unpacked cuts the name of a compressed file, and says how to get at the
// content.
func unpacked(name string) (plain, unpack, stream string) {
	for _, c := range []struct{ suffix, unpack, stream string }{
		{".gz", "gzip -dk", "gzip -dc"}, {".xz", "xz -dk", "xz -dc"}, {".zst", "zstd -d", "zstd -dc"},
	} {
		if plain, ok := strings.CutSuffix(name, c.suffix); ok {
			return plain, line(c.unpack, name) + "\n", line(c.stream, name) + " | "
		}
	}
	return name, "", ""
}

// machines are QEMU's words for an architecture.
var machines = map[string]string{
	"x86_64":  "qemu-system-x86_64 -machine accel=kvm:tcg -cpu max",
	"aarch64": "qemu-system-aarch64 -machine virt,accel=kvm:tcg -cpu max -bios /usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
}

// use is what one does with a downloaded file; "" where that depends too much on
// the place.
func use(a streammeta.Asset) string {
	plain, unpack, stream := unpacked(a.Name)
	switch a.Artifact {
	case "qemu":
		machine, ok := machines[a.Arch]
		if !ok {
			return ""
		}
		return unpack + machine + " -m 2048 -smp 2 \\\n  -nographic -snapshot \\\n  -drive if=virtio,file=" + quote(plain) +
			" \\\n  -fw_cfg name=opt/com.coreos/config,file=config.ign"
	case "metal", "metal4k", "live-iso":
		if stream == "" {
			return "sudo dd if=" + quote(plain) + " of=/dev/sdX bs=4M conv=fsync status=progress"
		}
		return stream + "sudo dd of=/dev/sdX bs=4M iflag=fullblock conv=fsync status=progress"
	case "openstack":
		return unpack + "openstack image create --disk-format qcow2 \\\n  --file " + quote(plain) + " " + quote(strings.TrimSuffix(plain, ".qcow2"))
	case "ostree":
		return line("skopeo copy oci-archive:"+quote(a.Name), "docker://REGISTRY/NAME:TAG")
	}
	return ""
}

// hint is what to know before the command of use.
func hint(artifact string) string {
	switch artifact {
	case "qemu":
		return "config.ign is your Ignition config. Nothing is written to the image; leave out -snapshot to keep changes."
	case "metal", "metal4k", "live-iso":
		return "Everything on /dev/sdX is overwritten. lsblk shows which disk is which."
	}
	return ""
}

// updates are the ways of an installed system to this release.
func updates(s Site, a Arch) (list []snippet) {
	if a.Container != "" {
		list = append(list,
			snippet{Title: "bootc", Code: line("sudo bootc switch", a.Container)},
			snippet{Title: "rpm-ostree", Code: line("sudo rpm-ostree rebase", "ostree-unverified-registry:"+a.Container)})
	}
	if s.OSTreeURL != "" && a.Ref != "" {
		remote := "os"
		list = append(list, snippet{Title: "ostree", Code: line("sudo ostree remote add --no-gpg-verify "+remote, s.OSTreeURL) + "\n" +
			line("sudo ostree pull "+remote, a.Ref) + "\n" + line("sudo ostree admin deploy", remote+":"+a.Ref)})
	}
	return list
}
