package provider

import (
	"context"
	"log"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/chiron-faas/chiron/bundle/oci/ocitest"
	"github.com/chiron-faas/chiron/internal/programtest"
)

// scratch is shared by all tests of the package, which build their agent and their
// images' base once.
var scratch string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "provider")
	if err != nil {
		log.Fatal(err)
	}
	scratch = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

var builtAgent = sync.OnceValues(func() (string, error) {
	return filepath.Join(scratch, programtest.Agent), programtest.Build(context.Background(), scratch, programtest.Options{}, programtest.Agent)
})

func agentFile(t *testing.T) string {
	t.Helper()
	file, err := builtAgent()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// machineBase is a layout with an image of this machine's Python.
var machineBase = sync.OnceValues(func() (string, error) {
	python, err := ocitest.Python(context.Background(), scratch)
	if err != nil {
		return "", err
	}
	base := filepath.Join(scratch, "base")
	files, err := layout.Write(base, empty.Index)
	if err == nil {
		err = files.AppendImage(python)
	}
	return base, err
})
