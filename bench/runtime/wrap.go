package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/chiron-faas/chiron/bench/load"
	"github.com/chiron-faas/chiron/bench/serving"
	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/affinity"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// subject is a workflow of one function in one process of a wrap.
type subject struct {
	name    string // of letters, digits and -
	code    string // of the handler's file
	process plan.Process
}

// running is a subject that serves.
type running struct {
	subject
	served *serving.Served
	target load.Target
}

// up serves a subject; its requests have the body.
func up(ctx context.Context, o Options, dir string, s subject, body []byte) (*running, error) {
	home := filepath.Join(dir, s.name)
	project := filepath.Join(home, "p")
	language := "python"
	if o.Runtime != "" {
		language += ", runtime: " + strconv.Quote(o.Runtime)
	}
	err := errors.Join(os.MkdirAll(project, 0o700),
		os.WriteFile(filepath.Join(project, "chiron.yaml"), []byte("name: "+s.name+"\ndefinition: workflow.asl.json\nfunctions:\n"+
			"  f: {handler: f.py, lang: "+language+"}\n"), 0o600),
		os.WriteFile(filepath.Join(project, "workflow.asl.json"), []byte(`{"StartAt":"F","States":{"F":{"Type":"Task","Resource":"f","End":true}}}`), 0o600),
		os.WriteFile(filepath.Join(project, "f.py"), []byte(s.code), 0o600))
	if err != nil {
		return nil, err
	}
	loaded, err := workflow.Load(project)
	if err != nil {
		return nil, err
	}
	cpus, err := affinity.CPUs()
	if err != nil {
		return nil, err
	}
	s.process.CPU, s.process.Tasks = plan.Unpinned, []string{"F"}
	made := &plan.Plan{Workflow: s.name, Model: "bench", Wraps: []plan.Wrap{{Name: "wrap-1", CPUs: len(cpus), Processes: []plan.Process{s.process}}}}
	served, err := serving.Up(ctx, serving.Options{
		Project: loaded, Plan: made, Binary: o.Binary, Dir: home, CPUs: cpus, BytecodeCache: filepath.Join(dir, "bytecode"),
		Interpreter: func(ctx context.Context, lang, runtime string) (string, error) {
			found, err := host.FindInterpreter(ctx, lang, runtime)
			return found.Path, err
		},
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	status, err := served.Running.Status(ctx)
	if err != nil {
		return nil, errors.Join(err, served.Down(ctx))
	}
	return &running{subject: s, served: served, target: load.Target{
		Network: "unix", Address: status.Wraps[0].Address[len("unix://"):], Path: "/", Body: body,
	}}, nil
}

// down ends it.
func (r *running) down(ctx context.Context) error { return r.served.Down(ctx) }
