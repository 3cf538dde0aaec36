package serving

import (
	"context"
	"net"
	"net/http"
	"path/filepath"

	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/local"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// Options of Up. All are needed.
type Options struct {
	Project *workflow.Project
	Plan    *plan.Plan
	// Agent is the file of chiron-agent, which runs the wraps.
	Agent string
	// Dir is a folder of the deployment's own. Sockets lie in it: the shorter its
	// path the better (unix(7): 107 bytes).
	Dir string
	// CPUs of the machine that the wraps share.
	CPUs []int
	// Interpreter finds an interpreter by language and version.
	Interpreter func(ctx context.Context, lang, runtime string) (string, error)
}

// Served is a plan that is up.
type Served struct {
	Running deploy.Running
	// Client talks to wrap 1 on one connection.
	Client *http.Client
}

// Up builds and starts a plan.
func Up(ctx context.Context, o Options) (*Served, error) {
	target, err := local.New(local.Options{
		Agent: o.Agent, Dir: filepath.Join(o.Dir, "s"), CPUs: o.CPUs,
	})
	if err != nil {
		return nil, err
	}
	bundles, err := bundle.Build(ctx, bundle.Options{
		Project: o.Project, Plan: o.Plan, OutDir: filepath.Join(o.Dir, "b"), Interpreter: o.Interpreter,
	})
	if err != nil {
		return nil, err
	}
	running, err := target.Up(ctx, deploy.Deployment{Name: "p", Plan: o.Plan, Bundles: bundles})
	if err != nil {
		return nil, err
	}
	return &Served{Running: running, Client: Client(running.Workflow())}, nil
}

// Down ends it, also where ctx has ended: nothing may run on.
func (s *Served) Down(ctx context.Context) error {
	s.Client.CloseIdleConnections()
	return s.Running.Down(context.WithoutCancel(ctx))
}

// Client talks to one wrap on one connection.
func Client(endpoint deploy.Endpoint) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return endpoint.Dial(ctx) },
		DisableCompression: true,
	}}
}
