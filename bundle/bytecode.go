package bundle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// byteCompile puts the bytecode of packages beside them, as pip does where it may:
// a wrap never writes any, and to compile what it imports takes a cold start longer
// than all else. The form is that without a look at the source (PEP 552,
// "unchecked-hash"): the checksums see to it that a bundle's files are those that
// were compiled.
//
// The same bytes come of the same files: one process compiles them in order, and
// their names in tracebacks are below "site" (import puts in where they are then).
func byteCompile(ctx context.Context, python interpreter, site, work string) error {
	env := append(os.Environ(), "PYTHONHASHSEED=0", "PYTHONPATH=", "PYTHONPYCACHEPREFIX=", "PYTHONOPTIMIZE=")
	_, err := run(ctx, command{
		path: python.path, dir: work, env: env,
		args: []string{
			"-s", "-S", "-m", "compileall", "-q", "-q", "-j", "1", "--invalidation-mode", "unchecked-hash",
			"-d", "site", site,
		},
	})
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil // a file is no Python of this version: templates, and tests of others; an import of it would say so
	}
	if err != nil {
		return fmt.Errorf("compile with %s: %w", python.path, err)
	}
	return nil
}
