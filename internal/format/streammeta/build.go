package streammeta

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Build is what release metadata is made of: one build of one architecture.
type Build struct {
	ID, Stream string
	Arch       string // rpm name
	Commit     string // ostree commit
	Images     []Image
	// Clouds are the keys of meta.json that cloud uploads have written, such as
	// "amis"; others are ignored.
	Clouds map[string]json.RawMessage
}

// Image is one file of a build.
type Image struct {
	Name string // key in meta.json, such as "qemu"
	Path string // file name, from which the format is read
	Artifact
}

// platforms are those whose disk images release metadata lists. Metal, metal4k
// and the live images are listed under "metal".
var platforms = []string{
	"aliyun", "applehv", "aws", "azure", "azurestack", "dasd", "digitalocean", "exoscale", "gcp", "hyperv", "ibmcloud",
	"kubevirt", "metal", "metal4k", "nutanix", "openstack", "powervs", "qemu", "qemu-secex", "virtualbox", "vmware", "vultr",
}

// Release is the release metadata of the build.
func (b Build) Release() (*Release, error) {
	arch := &Arch{Commit: b.Commit, Media: map[string]*Media{"metal": {Artifacts: map[string]Format{}}}}
	for _, image := range b.Images {
		arch.add(image, b.Arch)
	}
	if err := arch.addClouds(b.Clouds); err != nil {
		return nil, fmt.Errorf("build %s for %s: %w", b.ID, b.Arch, err)
	}
	return &Release{Release: b.ID, Stream: b.Stream, Architectures: map[string]*Arch{b.Arch: arch}}, nil
}

// add lists an image if it is of a kind that is listed.
func (a *Arch) add(image Image, rpmArch string) {
	file := &image.Artifact
	metal := a.Media["metal"].Artifacts
	put := func(format string, change func(*Format)) {
		f := metal[format]
		change(&f)
		metal[format] = f
	}
	switch image.Name {
	case "live-iso":
		put("iso", func(f *Format) { f.Disk = file })
	case "live-kernel":
		put("pxe", func(f *Format) { f.Kernel = file })
	case "live-initramfs":
		put("pxe", func(f *Format) { f.Initramfs = file })
	case "live-rootfs":
		put("pxe", func(f *Format) { f.Rootfs = file })
	case "iso":
		put("installer.iso", func(f *Format) { f.Disk = file })
	case "kernel":
		put("installer-pxe", func(f *Format) { f.Kernel = file })
	case "initramfs":
		put("installer-pxe", func(f *Format) { f.Initramfs = file })
	case "metal4k":
		put("4k."+extension(image, rpmArch), func(f *Format) { f.Disk = file })
	default:
		if slices.Contains(platforms, image.Name) {
			a.media(image.Name).Artifacts[extension(image, rpmArch)] = Format{Disk: file}
		}
	}
}

// extension is the format of a disk image: what follows PLATFORM.ARCH. in its
// name, or else what follows the last dot.
func extension(image Image, rpmArch string) string {
	if _, ext, ok := strings.Cut(image.Path, image.Name+"."+rpmArch+"."); ok {
		return ext
	}
	return image.Path[strings.LastIndexByte(image.Path, '.')+1:]
}

func (a *Arch) media(platform string) *Media {
	if a.Media[platform] == nil {
		a.Media[platform] = &Media{Artifacts: map[string]Format{}}
	}
	return a.Media[platform]
}

// addClouds lists the images that cloud uploads recorded.
func (a *Arch) addClouds(keys map[string]json.RawMessage) error {
	var amis []struct{ Name, HVM string }
	if err := decode(keys, "amis", &amis); err != nil {
		return err
	}
	for _, ami := range amis {
		a.media("aws").region(ami.Name, ami.HVM)
	}
	var aliyun []struct{ Name, ID string }
	if err := decode(keys, "aliyun", &aliyun); err != nil {
		return err
	}
	for _, image := range aliyun {
		a.media("aliyun").region(image.Name, image.ID)
	}
	var gcp struct{ Project, Family, Image string }
	if err := decode(keys, "gcp", &gcp); err != nil {
		return err
	}
	if gcp.Image != "" {
		a.media("gcp").Image = &CloudProject{Project: gcp.Project, Family: gcp.Family, Name: gcp.Image}
	}
	return nil
}

func (m *Media) region(name, image string) {
	if m.Images == nil {
		m.Images = map[string]CloudImage{}
	}
	m.Images[name] = CloudImage{Image: image}
}

func decode(keys map[string]json.RawMessage, key string, v any) error {
	raw, ok := keys[key]
	if !ok {
		return nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}
