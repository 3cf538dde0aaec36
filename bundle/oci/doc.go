// Package oci makes container images of a plan's wraps, one for each, without a
// container engine, and brings them to a registry, a folder or a file.
//
// # What an image is
//
// A base image that has a CPython, and three layers: the agent (a static
// chiron-agent), the functions' requirements where they have some, and the rest of
// the bundle. Layers are in this order since each changes less often than the next.
// The image runs the agent as user 65532, serves on port 8080 and ends what it
// does on SIGTERM. Nothing in it belongs to that user, so the root file system may
// be read-only. Arguments of a container are added to the command's: a
// deployment says "--peer wrap-2=wrap-2:8080".
//
// Build looks into the base's files for the interpreter, its version and the C
// library, and has the requirements resolved for these (bundle.Target): what is
// installed does not depend on the Python of the machine that builds. Bytecode is
// added where that is of the base's version. A base that is an index gives
// an index of images, one for each of its platforms that there is an agent for.
//
// # Same input, same bytes
//
// Files have fixed owners, modes and order, times that follow from their contents
// (bundle), and the image's own time is 1970. The same plan, code, requirements,
// base and chiron give the same digest, on any machine with the same CPython (or
// with none of the base's version: then there is no bytecode). Requirements that
// are not pinned may be resolved anew there.
//
// # Programs
//
// BuildProgram makes the image of a program that is no wrap, such as
// chiron-controller: the program on an empty base. Command programimage is for that.
//
// Where it stands: right of bundle, whose folders it packs; left of the targets
// that run images. It starts no container and knows no cluster.
package oci
