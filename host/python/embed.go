// Package python holds the host program for Python as the agent ships it: the
// sources in chiron_host, embedded. It is a Python project of its own, with
// its own tests (tests/) and checks (pyproject.toml); see package host for
// what it does and the frames that it speaks.
package python

import (
	"embed"
	"io/fs"
)

// A glob and not the folder: naming a folder would drop __init__.py, and
// all: would take whatever __pycache__ a test run left.
//
//go:embed chiron_host/*.py
var program embed.FS

// Files returns the host program: a file system with the folder chiron_host.
func Files() fs.FS { return program }
