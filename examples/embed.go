// Package examples holds the projects that documents, tests and "chiron init"
// use, as files and embedded in the program.
package examples

import (
	"embed"
	"io/fs"
)

//go:embed hello
var hello embed.FS

// Hello is the project that "chiron init" writes.
func Hello() fs.FS {
	sub, err := fs.Sub(hello, "hello")
	if err != nil {
		panic(err) // "hello" is a valid path
	}
	return sub
}
