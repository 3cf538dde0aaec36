package main

import (
	"fmt"
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
// file, or the definition that the project file beside it names.
func loadProject(path string) (*workflow.Project, error) {
	if filepath.Base(path) == workflow.ProjectFile {
		return workflow.Load(path)
	}
	dir, beside := projectBeside(path)
	if !beside {
		return workflow.Load(path)
	}
	p, err := workflow.Load(dir)
	if err != nil {
		return nil, err
	}
	given, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	named, err := os.Stat(p.DefinitionFile)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.DefinitionFile, err)
	}
	if !os.SameFile(given, named) {
		return nil, fmt.Errorf("%s is not the definition that %s names (%s): give that one, or the folder", path, p.File, p.DefinitionFile)
	}
	return p, nil
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
