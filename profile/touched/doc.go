// Package touched decides which files count as written by a function, of all
// that its process and the children of it made, wrote, renamed or removed.
//
// It stands below the tracers that see the system calls themselves: what they
// have seen they tell the same way, and so agree on what a temporary file is.
package touched
