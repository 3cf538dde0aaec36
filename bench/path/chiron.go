package path

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/chiron-faas/chiron/bench/serving"
	"github.com/chiron-faas/chiron/plan"
)

// handler is what both systems run.
const handler = `def handler(event, context):
    return event
`

// start serves a workflow of n trivial functions in one process.
func start(ctx context.Context, chiron, dir, name string, n int) (*serving.Program, error) {
	project := filepath.Join(dir, name)
	if err := writeProject(project, name, n); err != nil {
		return nil, fmt.Errorf("bench path: %w", err)
	}
	p, err := serving.Start(ctx, serving.ProgramOptions{
		Chiron: chiron, Project: project, Name: name, State: filepath.Join(dir, "run-"+name), Body: body,
	})
	if err != nil {
		return nil, fmt.Errorf("bench path: %w", err)
	}
	return p, nil
}

// writeProject writes a project with its plan, so that nothing is measured to
// serve it.
func writeProject(dir, name string, n int) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	states := make(map[string]any)
	process := plan.Process{Mode: plan.Pool, CPU: plan.Unpinned}
	for i := range n {
		task := fmt.Sprintf("Task%d", i+1)
		state := map[string]any{"Type": "Task", "Resource": "echo"}
		if i+1 < n {
			state["Next"] = fmt.Sprintf("Task%d", i+2)
		} else {
			state["End"] = true
		}
		states[task] = state
		process.Tasks = append(process.Tasks, task)
	}
	definition, err := json.Marshal(map[string]any{"StartAt": "Task1", "States": states})
	if err != nil {
		return err
	}
	made := &plan.Plan{Workflow: name, Model: "bench", Wraps: []plan.Wrap{{Name: "wrap-1", CPUs: 1, Processes: []plan.Process{process}}}}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "chiron.yaml"), []byte("name: "+name+"\ndefinition: workflow.asl.json\nfunctions:\n  echo: {lang: python, handler: echo.py, runtime: /usr/bin/python3}\n"), 0o644),
		os.WriteFile(filepath.Join(dir, "workflow.asl.json"), definition, 0o644),
		os.WriteFile(filepath.Join(dir, "echo.py"), []byte(handler), 0o644),
		plan.Write(filepath.Join(dir, "plan.json"), made),
	)
}
