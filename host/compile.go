package host

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// compiler compiles every module below a folder, in order. What is no Python of
// this version, such as a template, is left out: an import of it says what is
// wrong. It imports nothing from the folder that it is in, and is not isolated
// (-I), which would leave out PYTHONHASHSEED.
const compiler = `import sys
del sys.path[0]
import os, py_compile
top, name = sys.argv[1:]
for folder, folders, files in os.walk(top):
    folders.sort()
    for file in sorted(files):
        if not file.endswith(".py"):
            continue
        path = os.path.join(folder, file)
        shown = os.path.join(name, os.path.relpath(path, top))
        try:
            py_compile.compile(path, dfile=shown, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        except py_compile.PyCompileError:
            pass
`

// Compile puts the bytecode of the Python modules below dir beside them, for the
// interpreter at path. A host never writes any (where it may, functions could), and
// to compile what it imports takes a start longer than all else, and megabytes.
//
// The form is that without a look at the source (PEP 552, "unchecked-hash"): who
// ships the modules sees to it that they stay as they are. The same bytes come of
// the same files and interpreter, and name stands for dir in them (import puts in
// where they are then).
func Compile(ctx context.Context, path, dir, name string) error {
	cmd := exec.CommandContext(ctx, path, "-s", "-S", "-W", "ignore", "-c", compiler, dir, name)
	// What of the environment an interpreter heeds could decide the bytes.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PYTHON") })
	cmd.Env = append(cmd.Env, "PYTHONHASHSEED=0", "LC_ALL=C.UTF-8")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil {
		return nil
	}
	if said := strings.TrimSpace(string(out)); said != "" {
		return fmt.Errorf("compile %s with %s: %w: %s", dir, path, err, said[strings.LastIndexByte(said, '\n')+1:])
	}
	return fmt.Errorf("compile %s with %s: %w", dir, path, err)
}
