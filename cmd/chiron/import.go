package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/deploy/openfaas/stack"
	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/workflow"
)

// importReport is what was written, with --output json.
type importReport struct {
	Dir   string   `json:"dir"`
	Files []string `json:"files"`
	Notes []string `json:"notes,omitempty"`
}

// importedDefinition is the definition that import writes.
const importedDefinition = "workflow.asl.json"

func newImport(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "import STACK",
		Short: "Make a project of an OpenFaaS stack file",
		Long: `Writes a project file and a definition beside an OpenFaaS stack file. The handlers
stay where they are and run unchanged. A stack names no workflow: the definition
calls its functions one after the other, and is yours to change.`,
		Example: "  chiron import shop/stack.yaml",
		Args:    one("STACK"),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := stack.Read(args[0], a.env)
			if err != nil {
				return err
			}
			dir, err := filepath.Abs(filepath.Dir(args[0]))
			if err != nil {
				return fmt.Errorf("find the folder of %s: %w", args[0], err)
			}
			project, definition, err := s.Project(pipeline.ProjectName(filepath.Base(dir)), importedDefinition)
			if err != nil {
				return err
			}
			r := importReport{Dir: dir, Files: []string{workflow.ProjectFile, importedDefinition}, Notes: s.Notes}
			if err := writeNew(dir, r.Files, [][]byte{project, definition}); err != nil {
				return err
			}
			if _, err := workflow.Load(dir); err != nil { // what a project is stricter about
				return fmt.Errorf("the project is written, and has faults to mend:\n%w", err)
			}
			return a.report(r, textImport(r, filepath.Dir(args[0])))
		},
	}
}

// writeNew writes files, none where one of them is there.
func writeNew(dir string, names []string, texts [][]byte) error {
	for _, name := range names {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already: move it away first", filepath.Join(dir, name))
		}
	}
	for i, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), texts[i], 0o644); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

func textImport(r importReport, shown string) func(io.Writer, style) {
	return func(w io.Writer, s style) {
		for _, f := range r.Files {
			printf(w, "wrote %s\n", filepath.Join(shown, f))
		}
		for _, n := range r.Notes {
			printf(w, "%s\n", s.dim("note: "+n))
		}
		printf(w, "try it: chiron run %s\n", shown)
	}
}
