package shapes

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/chiron-faas/chiron/examples"
	"github.com/chiron-faas/chiron/workflow"
)

//go:embed projects functions
var own embed.FS

// All are the shapes whose placements are measured, as the paper's figure of
// its predictor has them.
func All() []string { return []string{"sn", "mr", "slapp", "slapp-v", "finra-5"} }

// Switch are the shapes in which a thread that is ready to go on waits for the
// interpreter lock behind one that computes.
func Switch() []string { return []string{"switch-wait", "switch-hash", "switch-disk"} }

// storeAddress is the object store's in the projects' files.
const storeAddress = "127.0.0.1:9753"

// Assemble writes the project of a shape into dir, which it makes, and loads it.
// A project that asks for an object store gets one at a free port of its own.
func Assemble(shape, dir string) (*workflow.Project, error) {
	if err := Write(shape, dir); err != nil {
		return nil, err
	}
	if err := moveStore(filepath.Join(dir, workflow.ProjectFile)); err != nil {
		return nil, fmt.Errorf("assemble the shape %q: %w", shape, err)
	}
	return workflow.Load(dir)
}

// Write writes the project of a shape into dir, which it makes: the same files each
// time.
func Write(shape, dir string) (err error) {
	switch {
	case shape == "slapp":
		err = os.CopyFS(dir, examples.SLApp())
	case shape == "finra-5":
		err = os.CopyFS(dir, examples.FINRA5())
	case slices.Contains(All(), shape), slices.Contains(Switch(), shape):
		err = assemble(shape, dir)
	default:
		err = fmt.Errorf("there is none of that name: choose from %s", strings.Join(All(), ", "))
	}
	if err != nil {
		return fmt.Errorf("assemble the shape %q: %w", shape, err)
	}
	return nil
}

// assemble puts a shape's own files and all functions together: those of SLApp
// are the example's.
func assemble(shape, dir string) error {
	files, err := fs.Sub(own, path.Join("projects", shape))
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, files); err != nil {
		return err
	}
	for _, from := range []fs.FS{own, examples.SLApp()} {
		functions, err := fs.Sub(from, "functions")
		if err != nil {
			return err
		}
		if err := os.CopyFS(filepath.Join(dir, "functions"), functions); err != nil {
			return err
		}
	}
	return nil
}

// moveStore gives the object store of a project file, where it has one, a port
// that is free now.
func moveStore(file string) error {
	data, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(data), storeAddress) {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	free := l.Addr().String()
	moved := strings.ReplaceAll(string(data), storeAddress, free)
	return errors.Join(l.Close(), os.WriteFile(file, []byte(moved), 0o600))
}
