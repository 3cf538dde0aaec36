// Package path measures the cost of our own path: gateway → agent → host → a
// trivial handler with a JSON body of 100 bytes, beside the same handler under
// Flask with waitress on the same machine, and a workflow of ten such functions.
//
// What is measured are real processes: "chiron up" of a project made for it, and
// a Python with Flask. The rounds of all of them are interleaved, so that a
// machine that gets slower does so for all; each figure is the median of its
// rounds.
package path
