package accuracy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// WriteFiles writes the report in all its forms into a folder: report.txt,
// report.md, report.json, placements.csv and scatter.svg.
func (r *Report) WriteFiles(dir string) error {
	for name, write := range map[string]func(io.Writer) error{
		"report.txt":     r.WriteTable,
		"report.md":      r.WriteMarkdown,
		"report.json":    r.writeJSON,
		"placements.csv": r.WriteCSV,
		"scatter.svg":    r.WriteScatter,
	} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("accuracy: %w", err)
		}
		if err := errors.Join(write(f), f.Close()); err != nil {
			return fmt.Errorf("accuracy: write %s: %w", f.Name(), err)
		}
	}
	return nil
}

func (r *Report) writeJSON(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
