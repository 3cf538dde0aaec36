package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/chiron-faas/chiron/workflow"
)

// SyntaxError says that a handler's file does not compile.
type SyntaxError struct {
	Function string
	// File is the handler's path in the project, Line counts from 1; 0 means
	// unknown.
	File string
	Line int
	// Message is the last line of the interpreter's traceback:
	// "SyntaxError: invalid syntax".
	Message string
}

func (e *SyntaxError) Error() string {
	where := e.File
	if e.Line > 0 {
		where = fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	return fmt.Sprintf("function %q: %s: %s", e.Function, where, e.Message)
}

// compiles reads a JSON list of files and compiles each without running it. A
// file that does not compile is reported as [index, line, message].
const compiles = `import json, sys, warnings
warnings.simplefilter("ignore")
faults = []
for index, name in enumerate(json.load(sys.stdin)):
    try:
        with open(name, "rb") as file:
            compile(file.read(), name, "exec", dont_inherit=True)
    except SyntaxError as error:
        faults.append([index, error.lineno or 0, "%s: %s" % (type(error).__name__, error.msg)])
    except Exception as error:
        faults.append([index, 0, "%s: %s" % (type(error).__name__, error)])
json.dump(faults, sys.stdout)
`

// compilePatience bounds the compilation of a wrap's handlers.
const compilePatience = time.Minute

// checkSyntax compiles the handlers with the interpreter that will run them.
func checkSyntax(ctx context.Context, python interpreter, functions []*workflow.Function) error {
	files := make([]string, len(functions))
	for i, f := range functions {
		files[i] = filepath.Join(f.Dir, f.File)
	}
	input, err := json.Marshal(files)
	if err != nil {
		return err
	}
	out, err := run(ctx, command{
		path: python.path, args: []string{"-I", "-S", "-c", compiles},
		stdin: input, patience: compilePatience,
	})
	if err != nil {
		return fmt.Errorf("compile the handlers with %s: %w", python.path, err)
	}
	var reported [][3]any
	if err := json.Unmarshal([]byte(out.stdout), &reported); err != nil {
		return fmt.Errorf("compile the handlers with %s: its answer is not JSON: %w", python.path, err)
	}
	var faults []error
	for _, r := range reported {
		index, ok1 := r[0].(float64)
		line, ok2 := r[1].(float64)
		message, ok3 := r[2].(string)
		if !ok1 || !ok2 || !ok3 || int(index) < 0 || int(index) >= len(functions) {
			return fmt.Errorf("compile the handlers with %s: its answer %v is not understood", python.path, r)
		}
		faults = append(faults, &SyntaxError{
			Function: functions[int(index)].Name, File: files[int(index)], Line: int(line), Message: message,
		})
	}
	return errors.Join(faults...)
}
