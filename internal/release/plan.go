// Package release says what goes into a release: which files, under which names,
// with which words. Publishing it is the business of the package publish.
package release

// Plan is a release as it shall be: its place, its page and its assets.
type Plan struct {
	Owner, Repo string
	// Tag must exist in the repository unless Target is given, the branch or
	// commit that GitHub makes the tag of when the release is published.
	Tag, Target string
	Build       string // id of the build, for those who ask; GitHub is not told
	Name        string // title of the page; empty: the tag
	Notes       string // text of the page, Markdown
	Prerelease  bool
	// Latest says whether this becomes the release that "latest" leads to:
	// "true", "false", or "legacy" (GitHub decides by date and version).
	// Empty: "legacy", for a prerelease "false".
	Latest string
	Assets []Asset
}

// Asset is one file of a release: a file of this machine or a part of one.
type Asset struct {
	Name   string // as on the release page, made of what GitHub keeps: [A-Za-z0-9._-]
	Path   string // file on this machine
	Offset int64  // where the asset begins in the file, in bytes
	Size   int64  // its length in bytes; 0 with Offset 0 is an empty file, not "the rest"
	// SHA256 is the checksum of exactly these bytes, in hex.
	SHA256      string
	ContentType string // empty: application/octet-stream
}
