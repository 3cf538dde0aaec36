// Package syscalls says which system call a thread is in, and what it is called.
//
// It stands below the tracers that learn of calls by their numbers: of what
// keeps a thread waiting, a person wants the name.
package syscalls
