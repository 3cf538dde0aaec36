// Package profile holds what is known of how each function behaves alone: its
// periods on and off the CPU in order, its memory, the files it writes, its
// variability. Types and their JSON form only: profile/profiler measures, the
// folders beside it trace.
//
// Times are time.Duration in code and milliseconds in files.
package profile
