package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/workflow"
)

// projectBeside returns the folder of a definition's file, where a project file
// lies beside it.
func projectBeside(path string) (string, bool) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return "", false
	}
	dir := filepath.Dir(path)
	_, err = os.Stat(filepath.Join(dir, workflow.ProjectFile))
	return dir, err == nil
}

// loadProject reads the project that a verb is given: a folder, its project
// file, or the definition in it.
func loadProject(path string) (*workflow.Project, error) {
	if filepath.Base(path) != workflow.ProjectFile {
		if dir, ok := projectBeside(path); ok {
			path = dir
		}
	}
	return workflow.Load(path)
}

// one is the cobra.PositionalArgs of a verb that takes a single argument, which
// its usage line calls name.
func one(name string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return usagef("%s is missing", name)
		case 1:
			return nil
		}
		return usagef("one %s is taken, and %q is one too many", name, args[1])
	}
}

// none is the cobra.PositionalArgs of a verb that takes no argument.
func none(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("no argument is taken, and %q is one", args[0])
	}
	return nil
}
