package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// compiler is compileall as a command (python -m compileall) that imports nothing
// from the folder it is in: -I would do that, and leave out PYTHONHASHSEED.
const compiler = `import sys
del sys.path[0]
import compileall
sys.exit(not compileall.main())`

// Compile puts the bytecode of the Python modules below dir beside them, for the
// interpreter at path. A host never writes any (where it may, functions could), and
// to compile what it imports takes a start longer than all else, and megabytes.
//
// The form is that without a look at the source (PEP 552, "unchecked-hash"): who
// ships the modules sees to it that they stay as they are. The same bytes come of
// the same files: one process compiles them in order, and name stands for dir in
// them (import puts in where they are then). A file that is no Python of this
// version, such as a template, is left out: an import of it says what is wrong.
func Compile(ctx context.Context, path, dir, name string) error {
	cmd := exec.CommandContext(ctx, path, "-s", "-S", "-c", compiler, "-q", "-q", "-j", "1",
		"--invalidation-mode", "unchecked-hash", "-d", name, dir)
	cmd.Env = append(os.Environ(), "PYTHONHASHSEED=0", "PYTHONPATH=", "PYTHONPYCACHEPREFIX=", "PYTHONOPTIMIZE=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var exit *exec.ExitError
	if err == nil || errors.As(err, &exit) && exit.ExitCode() == 1 && len(out) == 0 {
		return nil // 1: a file was left out
	}
	if said := strings.TrimSpace(string(out)); said != "" {
		return fmt.Errorf("compile %s with %s: %w: %s", dir, path, err, said[strings.LastIndexByte(said, '\n')+1:])
	}
	return fmt.Errorf("compile %s with %s: %w", dir, path, err)
}
