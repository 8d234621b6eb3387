package workdir

import (
	"fmt"
	"slices"
	"strings"
)

// ImageKind is a kind of artifact that meta.json can name. The set is closed:
// readers elsewhere reject names they do not know.
type ImageKind struct {
	Name string // key in images, for example "qemu"
	// SkipCompression says that the artifact is never compressed.
	SkipCompression bool
	// pattern is the file name; $N is the build's name, $B its id, $A the
	// architecture.
	pattern string
}

// imageKinds is the only list of artifact names. Unlike upstream it exempts
// oci-manifest from compression, for the next build reads that file.
var imageKinds = []ImageKind{
	{"ostree", true, "$N-$B-ostree.$A.ociarchive"},
	{"oci-manifest", true, "$N-$B-ostree.$A-manifest.json"},
	{"qemu", false, "$N-$B-qemu.$A.qcow2"},
	{"metal", false, "$N-$B-metal.$A.raw"},
	{"metal4k", false, "$N-$B-metal4k.$A.raw"},
	{"openstack", false, "$N-$B-openstack.$A.qcow2"},
	{"live-iso", true, "$N-$B-live.$A.iso"},
	{"live-kernel", true, "$N-$B-live-kernel-$A"},
	{"live-initramfs", true, "$N-$B-live-initramfs.$A.img"},
	{"live-rootfs", true, "$N-$B-live-rootfs.$A.img"},
	{"extensions-container", true, "$N-$B-extensions-container.$A.ociarchive"},
	{"legacy-oscontainer", true, "$N-$B-legacy-oscontainer.$A.ociarchive"},

	{"aliyun", false, "$N-$B-aliyun.$A.qcow2"},
	{"applehv", true, "$N-$B-applehv.$A.raw.gz"},
	{"aws", false, "$N-$B-aws.$A.vmdk"},
	{"azure", false, "$N-$B-azure.$A.vhd"},
	{"azurestack", false, "$N-$B-azurestack.$A.vhd"},
	{"dasd", false, "$N-$B-dasd.$A.raw"},
	{"digitalocean", true, "$N-$B-digitalocean.$A.qcow2.gz"},
	{"exoscale", false, "$N-$B-exoscale.$A.qcow2"},
	{"gcp", true, "$N-$B-gcp.$A.tar.gz"},
	{"hyperv", true, "$N-$B-hyperv.$A.vhdx.zip"},
	{"ibmcloud", false, "$N-$B-ibmcloud.$A.qcow2"},
	{"kubevirt", true, "$N-$B-kubevirt.$A.ociarchive"},
	{"nutanix", true, "$N-$B-nutanix.$A.qcow2"},
	{"powervs", true, "$N-$B-powervs.$A.ova.gz"},
	{"virtualbox", false, "$N-$B-virtualbox.$A.ova"},
	{"vmware", false, "$N-$B-vmware.$A.ova"},
	{"vultr", false, "$N-$B-vultr.$A.raw"},
	{"qemu-secex", false, "$N-$B-qemu-secex.$A.qcow2"},
	{"ignition-gpg-key", true, "$N-$B-ignition-gpg-key.$A.asc"},

	// Written by old releases only.
	{"iso", true, "$N-$B-iso.$A.iso"},
	{"kernel", true, "$N-$B-kernel.$A"},
	{"initramfs", true, "$N-$B-initramfs.$A.img"},
}

// FindImageKind finds a kind of artifact by its key in meta.json.
func FindImageKind(name string) (ImageKind, error) {
	for _, kind := range imageKinds {
		if kind.Name == name {
			return kind, nil
		}
	}
	return ImageKind{}, fmt.Errorf("unknown artifact %q", name)
}

// FileName is the name of the artifact's file as it is made, before a later
// compression; name is that of the OS (rojig.name).
func (k ImageKind) FileName(name, buildID, rpmArch string) string {
	return strings.NewReplacer("$N", name, "$B", buildID, "$A", rpmArch).Replace(k.pattern)
}

// RepoArchiveName is the name of the tar file with an OSTree repository for plain
// ostree clients, which lies beside a build's artifacts and is none: meta.json has
// no place for it.
func RepoArchiveName(name, buildID, rpmArch string) string {
	return name + "-" + buildID + "-ostree-repo." + rpmArch + ".tar"
}

// liveArtifacts are made by one stage, the ISO being what people ask for.
var liveArtifacts = []string{"live-iso", "live-kernel", "live-initramfs", "live-rootfs"}

// StageArtifacts lists the artifacts that the stage buildextend-STAGE makes, the
// main one first.
func StageArtifacts(stage string) []string {
	if stage == "live" {
		return slices.Clone(liveArtifacts)
	}
	return []string{stage}
}

// stageOf is the stage that makes an artifact.
func stageOf(artifact string) string {
	if slices.Contains(liveArtifacts, artifact) {
		return "live"
	}
	return artifact
}
