// Package touched decides which files count as written by a function: of all
// that its process and the children of it opened, renamed or removed, or, where
// nobody saw that, of all that changed in its working folder.
//
// It stands below the tracers. What they have seen they tell the same way, and
// so agree on what a temporary file is.
package touched
