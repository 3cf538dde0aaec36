// Package container runs functions that are container images, with runc.
//
// # From an image to a root file system
//
// An image is read from its registry for this machine's platform. Its layers are
// unpacked once each into a store (store.go) and shared by all images that have
// them: what a layer may hold is checked as it is unpacked (unpack.go). A
// container's root is an overlay over its image's layers, with what it writes in
// memory; where the kernel permits no overlay, it is a copy (rootfs.go).
//
// # What a container may
//
// Nothing that a function does not need (spec.go): it is a user other than root,
// without capabilities and without a way to any; in namespaces of its own; with the
// system calls left out that a function has no use for; within limits of memory,
// CPUs and processes where control groups are permitted.
//
// Its network has a loopback and nothing else. The gateway connects to port 8080
// from inside (network.go), and serves functions, never its administration, to the
// container at http://gateway:31112. A deployment may ask for the machine's network
// instead; then the function serves on the port that its variable "port" names.
//
// # Its life
//
// A Function is a deploy.Scalable, whose instances are containers. One that ends is
// started again; one that does not come up says why, in the words of its log.
// Containers end with this process, whatever ends it: each has a leash (container.go).
//
// Where it stands: below gateway/provider, which deploys with it; right of
// bundle/oci, which speaks to registries. It knows nothing of requests.
package container
