// Package handoff packs parts of a work directory into one file and unpacks
// them again on another machine: what jobs of a workflow hand to each other.
//
// A pack is a pax tar in zstd frames; plain tar --zstd reads it. Its first
// member, ManifestName, lists every other member with all that unpacking will
// restore, in the order of the archive. Hard links, symbolic links, modes,
// owners, extended attributes, times to the nanosecond, holes, and names of any
// bytes survive.
//
// Unpack trusts nothing: a member that is not exactly what the manifest says,
// or that could land outside, ends it before anything becomes visible.
package handoff
