package programtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The programs by name, which is also their folder's in cmd.
const (
	Chiron     = "chiron"
	Agent      = "chiron-agent"
	Controller = "chiron-controller"
)

// Options of Build.
type Options struct {
	// GOARCH to build for; empty: this machine's.
	GOARCH string
	// Race builds with the race detector, and so with cgo: not for images.
	Race bool
}

// Build puts the named programs, with these names, into a folder. They are built
// as make build does it: without cgo, so that they run in any image. Symbols, which
// no test reads, are left out: they take time to link, and to pack into images.
func Build(ctx context.Context, dir string, o Options, names ...string) error {
	args := []string{"build", "-trimpath", "-ldflags=-s -w", "-o", dir + string(filepath.Separator)}
	cgo := "CGO_ENABLED=0"
	if o.Race {
		args, cgo = append(args, "-race"), "CGO_ENABLED=1"
	}
	for _, name := range names {
		args = append(args, "github.com/chiron-faas/chiron/cmd/"+name)
	}
	build := exec.CommandContext(ctx, "go", args...)
	build.Env = append(os.Environ(), cgo)
	if o.GOARCH != "" {
		build.Env = append(build.Env, "GOOS=linux", "GOARCH="+o.GOARCH)
	}
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build %v: %w\n%s", names, err, out)
	}
	return nil
}

// BuildAgent builds chiron-agent for a test and returns its path.
func BuildAgent(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := Build(t.Context(), dir, Options{}, Agent); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, Agent)
}

// BuildBoth builds both programs for a test, beside each other, where chiron
// looks for its agent.
func BuildBoth(t testing.TB) (chiron, agent string) {
	t.Helper()
	dir := t.TempDir()
	if err := Build(t.Context(), dir, Options{}, Chiron, Agent); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, Chiron), filepath.Join(dir, Agent)
}
