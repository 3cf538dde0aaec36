package runtime

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

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

func (s *subject) project(runtime string) *project {
	process := s.process
	process.Tasks = []string{"F"}
	return &project{
		name: s.name, runtime: runtime, functions: map[string]string{"f": s.code},
		definition: object{"StartAt": "F", "States": object{"F": task("F", "")}},
		wraps:      []plan.Wrap{{Processes: []plan.Process{process}}},
	}
}

// running is a subject that serves.
type running struct {
	subject
	served *serving.Served
	target load.Target
}

// up serves a subject; its requests have the body.
func up(ctx context.Context, o Options, dir string, s subject, body []byte) (*running, error) {
	served, target, err := serve(ctx, o, dir, s.project(o.Runtime))
	if err != nil {
		return nil, err
	}
	target.Body = body
	return &running{subject: s, served: served, target: target}, nil
}

// serve brings a project's wraps up, without a gateway; requests go to the first.
func serve(ctx context.Context, o Options, dir string, p *project) (*serving.Served, load.Target, error) {
	home := filepath.Join(dir, p.name)
	folder := filepath.Join(home, "p")
	if err := p.write(folder); err != nil {
		return nil, load.Target{}, err
	}
	loaded, err := workflow.Load(folder)
	if err != nil {
		return nil, load.Target{}, err
	}
	made, err := p.plan()
	if err != nil {
		return nil, load.Target{}, err
	}
	cpus, err := affinity.CPUs()
	if err != nil {
		return nil, load.Target{}, err
	}
	served, err := serving.Up(ctx, serving.Options{
		Project: loaded, Plan: made, Agent: o.Agent, Dir: home, CPUs: cpus,
		Interpreter: func(ctx context.Context, lang, runtime string) (string, error) {
			found, err := host.FindInterpreter(ctx, lang, runtime)
			return found.Path, err
		},
	})
	if err != nil {
		return nil, load.Target{}, fmt.Errorf("%s: %w", p.name, err)
	}
	status, err := served.Running.Status(ctx)
	if err != nil {
		return nil, load.Target{}, errors.Join(err, served.Down(ctx))
	}
	return served, load.Target{Network: "unix", Address: status.Wraps[0].Address[len("unix://"):], Path: "/"}, nil
}

// down ends it.
func (r *running) down(ctx context.Context) error { return r.served.Down(ctx) }
