package profiler

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/workflow"
)

// newProject makes a project of a definition and of Python handlers by
// function name.
func newProject(t testing.TB, definition string, handlers map[string]string) *workflow.Project {
	t.Helper()
	dir := t.TempDir()
	d, err := workflow.ParseDefinition("test.asl.json", []byte(definition))
	if err != nil {
		t.Fatal(err)
	}
	p := &workflow.Project{
		Dir: dir, Name: "test", Definition: d, Input: []byte(`"in"`),
		Functions: map[string]*workflow.Function{},
	}
	for name, code := range handlers {
		runtime := pythonPath(t)
		file := name + ".py"
		if err := os.WriteFile(filepath.Join(dir, file), []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		p.Functions[name] = &workflow.Function{Name: name, Lang: "python", Runtime: runtime, Dir: dir, File: file, Timeout: 10 * time.Second}
	}
	return p
}

// findPython asks once for all tests: through a version manager's shims it
// takes half a second.
var findPython = sync.OnceValues(func() (host.Interpreter, error) {
	return host.FindInterpreter(context.Background(), "python", "")
})

func pythonPath(t testing.TB) string {
	t.Helper()
	interpreter, err := findPython()
	if err != nil {
		t.Fatal(err)
	}
	return interpreter.Path
}

// chain is a definition of tasks in a row: "name" is the Task state's and, in
// lower case, the function's.
func chain(names ...string) string {
	states := make([]string, len(names))
	for i, name := range names {
		next := `"End": true`
		if i+1 < len(names) {
			next = fmt.Sprintf(`"Next": %q`, names[i+1])
		}
		states[i] = fmt.Sprintf(`%q: {"Type": "Task", "Resource": %q, %s}`, name, strings.ToLower(name), next)
	}
	return fmt.Sprintf(`{"StartAt": %q, "States": {%s}}`, names[0], strings.Join(states, ","))
}

// children lists the processes that this one has started and that still run.
func children(t *testing.T) []string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		// The name, in parentheses, may hold anything.
		_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')'):]), " ")
		fields := strings.Fields(rest)
		if len(fields) > 1 && fields[1] == fmt.Sprint(os.Getpid()) {
			found = append(found, string(text))
		}
	}
	return found
}
