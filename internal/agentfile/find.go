package agentfile

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	// Name of the program's file.
	Name = "chiron-agent"
	// ImportPath of the program.
	ImportPath = "github.com/chiron-faas/chiron/cmd/chiron-agent"
	// both is what the go command installs the two programs by.
	both = "github.com/chiron-faas/chiron/cmd/..."
	// Variable of the environment that names another file.
	Variable = "CHIRON_AGENT"
)

// Find returns the agent of a chiron: the file that is named, where one is, else
// the one beside program, which is chiron's own file, else one in PATH.
func Find(program, named string) (string, error) {
	if named != "" {
		path, err := exec.LookPath(named)
		if err != nil {
			return "", fmt.Errorf("$%s: %w: name a %s, or leave the variable out", Variable, err, Name)
		}
		return filepath.Abs(path)
	}
	beside := filepath.Join(filepath.Dir(program), Name)
	if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
		return beside, nil
	}
	path, err := exec.LookPath(Name)
	if err != nil {
		return "", fmt.Errorf("%s, which runs the wraps, is neither beside %s nor in PATH: make build makes both, as does go install %s", Name, program, both)
	}
	return filepath.Abs(path)
}
