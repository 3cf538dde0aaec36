// Package memfile holds bytes in shared memory: files without a name
// (memfd_create(2)) that go from process to process over Unix sockets and are
// mapped by who reads them.
//
// A File is counted: whoever may still look at its bytes holds it, and its
// memory is unmapped, or written again, only when nobody does. A slice of a
// File's bytes keeps nothing alive.
//
// Nothing that another process does to a File makes touching it a signal:
// Adopt takes a file only if its seals say that it cannot shrink (a page that
// is gone is SIGBUS), and what is written here is populated first, so that
// memory that is short is an error.
//
// New pages cost more than copying into them: making 1 MiB of them takes five
// times as long as filling it (docs/transfer.md). So a Pool keeps files that
// nobody holds for a moment, their pages and mapping included.
package memfile
