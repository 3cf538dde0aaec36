package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/chiron-faas/chiron/examples"
	"github.com/chiron-faas/chiron/internal/atomicfile"
	"github.com/chiron-faas/chiron/workflow"
)

// InitOptions of Init.
type InitOptions struct {
	// Dir gets the project; it is made where it is not there.
	Dir string
	// Lang of the functions: "python".
	Lang string
}

// Languages that Init writes functions in.
func Languages() []string { return []string{"python"} }

// Init writes a small working project, named after its folder, and returns its
// files, relative to the folder. It writes nothing where any of them is there
// already.
func Init(o InitOptions) ([]string, error) {
	if o.Lang != "python" {
		return nil, fmt.Errorf("init: there is no language %q: choose one of %s", o.Lang, strings.Join(Languages(), ", "))
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("init: %w", err)
	}
	files := make(map[string][]byte)
	var names []string
	source := examples.Hello()
	err = fs.WalkDir(source, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[name], err = fs.ReadFile(source, name)
		names = append(names, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("init: %w", err)
	}
	project := ProjectName(filepath.Base(dir))
	files[workflow.ProjectFile] = bytes.Replace(files[workflow.ProjectFile], []byte("name: hello\n"), []byte("name: "+project+"\n"), 1)
	if readme, ok := files["README.md"]; ok {
		files["README.md"] = bytes.Replace(readme, []byte("# hello\n"), []byte("# "+project+"\n"), 1)
	}
	for _, name := range names {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
			if err == nil {
				err = errors.New("it is there already: choose another folder")
			}
			return nil, fmt.Errorf("init: %s: %w", file, err)
		}
	}
	for _, name := range names {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return nil, fmt.Errorf("init: %w", err)
		}
		if err := atomicfile.Write(file, files[name]); err != nil {
			return nil, fmt.Errorf("init: %w", err)
		}
	}
	return names, nil
}

// longestProject is what a project's name may have, characters: a DNS label with
// room for the suffix of a run's deployment.
const longestProject = 50

// ProjectName makes a project's name of a folder's: lower case letters, digits
// and dashes.
func ProjectName(folder string) string {
	name := regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(folder), "-")
	name = strings.Trim(name[:min(len(name), longestProject)], "-")
	if name == "" {
		return "hello"
	}
	return name
}
