package inspect

// Image is what an image holds. As JSON its keys are stable; new ones may come.
type Image struct {
	Format     Format      `json:"format"`
	Size       int64       `json:"size"` // of the disk, in bytes
	SectorSize int         `json:"sector-size,omitzero"`
	DiskGUID   string      `json:"disk-guid,omitempty"`
	Volume     string      `json:"volume,omitempty"` // of an ISO
	Partitions []Partition `json:"partitions,omitempty"`
	Files      []File      `json:"files,omitempty"` // of an ISO: what it boots from

	BIOSLoader bool        `json:"bios-loader"`  // boot code and core image lead to one another
	EFILoaders []string    `json:"efi-loaders"`  // paths below the EFI system partition
	Entries    []Entry     `json:"boot-entries"` // by file name
	Console    []string    `json:"grub-console"` // between the markers of grub.cfg
	Timeout    string      `json:"grub-timeout,omitempty"`
	FirstBoot  bool        `json:"first-boot"` // Ignition has not run yet
	Aleph      *Aleph      `json:"aleph,omitempty"`
	Deployment *Deployment `json:"deployment,omitempty"`

	OSRelease map[string]string `json:"os-release,omitempty"`
	Packages  []string          `json:"packages,omitempty"` // name-version-release.arch, ordered
}

// Partition is one partition and the file system in it.
type Partition struct {
	Number     int         `json:"number"`
	Label      string      `json:"label"`
	Type       string      `json:"type"`
	GUID       string      `json:"guid"`
	Start      int64       `json:"start"` // bytes
	Size       int64       `json:"size"`  // bytes
	Filesystem *Filesystem `json:"filesystem,omitempty"`
}

// File is a file of an ISO.
type File struct {
	Path string `json:"path"`
	Size int64  `json:"size"` // bytes
}

// Entry is an entry of the boot menu.
type Entry struct {
	File    string   `json:"file"`
	Title   string   `json:"title"`
	Version string   `json:"version"`
	Kernel  string   `json:"kernel"`
	Initrd  []string `json:"initrd"`
	Kargs   []string `json:"kernel-arguments"`
}

// Aleph tells what a machine was installed from.
type Aleph struct {
	Build   string `json:"build"`
	Ref     string `json:"ref"`
	Commit  string `json:"ostree-commit"`
	ImageID string `json:"imgid"`
}

// Deployment is the tree that the image boots.
type Deployment struct {
	Stateroot string `json:"stateroot"`
	Commit    string `json:"commit"`
	Origin    string `json:"origin,omitempty"` // refspec
	Version   string `json:"version,omitempty"`
	Timestamp string `json:"timestamp,omitempty"`
	Kernel    string `json:"kernel,omitempty"` // release
}
