// Package examples holds the projects that documents, tests, experiments and
// "chiron init" use, as files and embedded in the program.
package examples

import (
	"embed"
	"io/fs"
)

//go:embed hello slapp finra-5
var projects embed.FS

// Hello is the project that "chiron init" writes.
func Hello() fs.FS { return project("hello") }

// SLApp computes and uses the disk and the network, in two parallel stages.
func SLApp() fs.FS { return project("slapp") }

// FINRA5 validates trades by five rules in parallel.
func FINRA5() fs.FS { return project("finra-5") }

func project(name string) fs.FS {
	sub, err := fs.Sub(projects, name)
	if err != nil {
		panic(err) // the names above are valid paths
	}
	return sub
}
