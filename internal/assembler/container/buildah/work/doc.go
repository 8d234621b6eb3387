// Package work does in the program nosa-container what package buildah asks
// for. It is the only importer of containers/buildah, and is built only with
// the tag containers_image_openpgp: without it the library wants C libraries.
package work
