package profiler

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/workflow"
)

// functionHost is the host of one function, alone in it.
type functionHost struct {
	function    *workflow.Function
	interpreter host.Interpreter
	zygote      *host.Zygote
}

// hostOf starts a function's host, or returns the one that runs.
func (s *session) hostOf(ctx context.Context, name string) (*functionHost, error) {
	if h, ok := s.hosts[name]; ok {
		return h, nil
	}
	f, ok := s.options.Project.Functions[name]
	if !ok {
		return nil, fmt.Errorf("the project has no function of that name")
	}
	asked := [2]string{f.Lang, f.Runtime}
	interpreter, ok := s.interpreters[asked]
	if !ok {
		var err error
		if interpreter, err = host.FindInterpreter(ctx, f.Lang, f.Runtime); err != nil {
			return nil, err
		}
		// As it is in bundles: what a host compiles when it starts, it keeps.
		if err := host.Compile(ctx, interpreter.Path, s.program(), "host"); err != nil {
			return nil, err
		}
		s.interpreters[asked] = interpreter
	}
	patience := s.options.ImportTimeout
	started, cancel := context.WithTimeout(ctx, patience)
	defer cancel() // it bounds the start alone
	zygote, err := host.Start(started, s.spec(interpreter, s.options.Sites[name], host.Function{
		Name: f.Name, File: filepath.Join(f.Dir, f.File), Symbol: f.Symbol, Env: f.Env, Memory: f.Memory,
	}))
	if err != nil && started.Err() != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("it did not import within %v: see what the top level of %s waits for, and move long work into the handler", patience, f.File)
	}
	if err != nil {
		return nil, err
	}
	h := &functionHost{function: f, interpreter: interpreter, zygote: zygote}
	s.hosts[name] = h
	return h, nil
}

// spec is a host of one function; site has its requirements, empty: it has none.
func (s *session) spec(interpreter host.Interpreter, site string, f host.Function) host.Spec {
	spec := host.Spec{
		Dir:         s.dir,
		Program:     s.program(),
		Interpreter: interpreter.Path,
		Functions:   []host.Function{f, host.Probe(s.program())},
		WorkDir:     s.workDir(),
		StopGrace:   500 * time.Millisecond,
	}
	if site != "" {
		spec.SitePath = []string{site}
	}
	return spec
}

// worker forks one worker with one lane, which its main thread serves.
func (h *functionHost) worker(ctx context.Context) (*host.Worker, error) {
	w, err := h.zygote.Spawn(ctx, host.WorkerOptions{CPU: host.AnyCPU, Lanes: 1})
	if err != nil {
		return nil, err
	}
	if w.Pid() == 0 {
		<-w.Done()
		return nil, w.Err()
	}
	return w, nil
}
