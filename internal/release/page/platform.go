package page

// platform is a kind of place to run the system on.
type platform struct {
	ID, Title, Use string
	artifacts      []string // keys in meta.json, in the order of the page
}

// platforms in the order of the page; what has none comes after them under its
// own name.
var platforms = []platform{
	{"qemu", "Virtual machine", "QEMU, libvirt and GNOME Boxes", []string{"qemu"}},
	{"live", "Live system", "Boot it from a USB stick, look around, install from it", []string{"live-iso"}},
	{"metal", "Bare metal", "Write it to the disk of a machine", []string{"metal"}},
	{"metal4k", "Bare metal, 4K sectors", "For disks with a logical sector size of 4096 bytes", []string{"metal4k"}},
	{"pxe", "Network boot", "Kernel, initramfs and root file system for PXE", []string{"live-kernel", "live-initramfs", "live-rootfs"}},
	{"openstack", "OpenStack", "Upload it to the image service", []string{"openstack"}},
	{"aws", "AWS", "Import it as a machine image", []string{"aws"}},
	{"azure", "Azure", "Upload it as a managed disk", []string{"azure"}},
	{"gcp", "Google Cloud", "Import it as a machine image", []string{"gcp"}},
	{"vmware", "VMware", "Deploy it as an appliance", []string{"vmware"}},
	{"ostree", "OCI archive", "The system as a container image, for registries and for updates without a network", []string{"ostree"}},
}

// notImages are artifacts that nobody downloads to run them; they are listed
// with the other files.
var notImages = map[string]bool{"": true, "oci-manifest": true}

// findPlatform is the platform of an artifact.
func findPlatform(artifact string) platform {
	for _, p := range platforms {
		for _, a := range p.artifacts {
			if a == artifact {
				return p
			}
		}
	}
	return platform{ID: artifact, Title: artifact, artifacts: []string{artifact}}
}
