package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/chiron-faas/chiron/bench/serving"
	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/local"
	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/quantile"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// ColdOptions of Cold. Agent is needed.
type ColdOptions struct {
	// Agent is the file of chiron-agent, which runs the wraps.
	Agent string
	// Rounds of each way; 0: 15.
	Rounds int
	// Rest is how long a deployment is watched while nobody calls it; 0: 20 s,
	// negative: not at all.
	Rest time.Duration
	// Progress, when set, is told what is being done.
	Progress func(string)
}

// ColdReport is what Cold measured.
type ColdReport struct {
	Rows []ColdRow `json:"rows"`
	// Rest is of one wrap that nobody calls; nil: not measured.
	Rest *Rest `json:"rest,omitempty"`
}

// ColdRow is one function with both ways of an interpreter; medians, ms from the
// start until the first answer.
type ColdRow struct {
	// What is started: the host alone, or a whole instance.
	What     string `json:"what"`
	Function string `json:"function"`
	// New is with an interpreter that is started for it, Forked with a fork of
	// the warm one, Handler with a fork of what has the handler imported: a
	// worker more of a wrap that runs (0: not of this row).
	New     float64 `json:"new_ms"`
	Forked  float64 `json:"forked_ms"`
	Handler float64 `json:"handler_imported_ms,omitempty"`
}

// Ratio is what a fork takes of what a new interpreter does.
func (r ColdRow) Ratio() float64 { return r.Forked / r.New }

// What a ColdRow's rows start.
const (
	ColdHost     = "host"
	ColdInstance = "instance"
)

// coldTarget is the most that a fork may take of what a new interpreter takes.
const coldTarget = 1.0 / 3

// coldHandlers are functions by what they import.
var coldHandlers = []struct{ name, code string }{
	{"bare", "def handler(event, context):\n    return event\n"},
	{"imports", "import base64, datetime, decimal, hashlib, json, re, urllib.request\ndef handler(event, context):\n    return event\n"},
}

// Cold measures. It leaves nothing running.
func Cold(ctx context.Context, o ColdOptions) (_ *ColdReport, err error) {
	if o.Rounds <= 0 {
		o.Rounds = 15
	}
	if o.Rest == 0 {
		o.Rest = 20 * time.Second
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	dir, err := os.MkdirTemp("", "cold") // of a short name: sockets lie in it
	if err != nil {
		return nil, fmt.Errorf("bench cold: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	found, err := host.FindInterpreter(ctx, "python", "")
	if err != nil {
		return nil, err
	}
	report := &ColdReport{}
	for _, h := range coldHandlers {
		c := &cold{o: o, dir: filepath.Join(dir, h.name), interpreter: found.Path, name: h.name}
		if err := c.write(ctx, h.code); err != nil {
			return nil, fmt.Errorf("bench cold: %w", err)
		}
		row, err := c.host(ctx)
		if err != nil {
			return nil, fmt.Errorf("bench cold: %w", err)
		}
		report.Rows = append(report.Rows, row)
		row, rest, err := c.instance(ctx)
		if err != nil {
			return nil, fmt.Errorf("bench cold: %w", err)
		}
		report.Rows = append(report.Rows, row)
		if rest != nil {
			report.Rest = rest
		}
	}
	return report, nil
}

// cold measures one function.
type cold struct {
	o                      ColdOptions
	dir, interpreter, name string
}

// write makes a project of the function, and the host program as bundles have it.
func (c *cold) write(ctx context.Context, code string) error {
	p, program := filepath.Join(c.dir, "project"), filepath.Join(c.dir, "program")
	err := errors.Join(
		os.MkdirAll(p, 0o755),
		os.WriteFile(filepath.Join(p, "chiron.yaml"), []byte("name: cold\ndefinition: workflow.asl.json\nfunctions:\n  f: {lang: python, handler: f.py}\n"), 0o644),
		os.WriteFile(filepath.Join(p, "workflow.asl.json"), []byte(`{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"f","End":true}}}`), 0o644),
		os.WriteFile(filepath.Join(p, "f.py"), []byte(code), 0o644),
		host.WriteProgram(program),
	)
	if err != nil {
		return err
	}
	return host.Compile(ctx, c.interpreter, program, "host")
}

// host starts language hosts without an agent around them.
func (c *cold) host(ctx context.Context) (_ ColdRow, err error) {
	row := ColdRow{What: ColdHost, Function: c.name}
	spec := host.Spec{
		Dir: filepath.Join(c.dir, "project"), Program: filepath.Join(c.dir, "program"), Interpreter: c.interpreter,
		Functions: []host.Function{{Name: "f", File: "f.py"}}, StopGrace: time.Second,
	}
	socket := filepath.Join(c.dir, "t.sock")
	t, err := host.StartTemplate(host.TemplateSpec{Interpreter: c.interpreter, Program: spec.Program, Socket: socket, WorkDir: filepath.Join(c.dir, "t")})
	if err != nil {
		return row, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	forkedSpec := spec
	forkedSpec.Template = host.TemplateRef{Socket: socket}
	var anew, forked, handler []float64
	for round := range c.o.Rounds + 1 { // the first is to warm up, and fills the cache
		c.o.Progress(fmt.Sprintf("%s, %s: round %d of %d", row.What, c.name, round, c.o.Rounds))
		a, h, err := firstAnswer(ctx, spec, false)
		if err != nil {
			return row, err
		}
		b, _, err := firstAnswer(ctx, forkedSpec, true)
		if err != nil {
			return row, err
		}
		if round > 0 {
			anew, forked, handler = append(anew, a), append(forked, b), append(handler, h)
		}
	}
	row.New, row.Forked, row.Handler = quantile.Median(anew), quantile.Median(forked), quantile.Median(handler)
	return row, nil
}

// firstAnswer is how long a host takes from its start to the answer of its first
// worker, and from there a second worker from its fork to its first answer, ms.
func firstAnswer(ctx context.Context, spec host.Spec, forked bool) (first, second float64, err error) {
	begun := time.Now()
	z, err := host.Start(ctx, spec)
	if err != nil {
		return 0, 0, err
	}
	defer z.Close()
	if z.Forked() != forked {
		return 0, 0, errors.New("the host did not come the way that is measured")
	}
	if err := ask(ctx, z); err != nil {
		return 0, 0, err
	}
	first = milliseconds(time.Since(begun))
	begun = time.Now()
	if err := ask(ctx, z); err != nil {
		return 0, 0, err
	}
	return first, milliseconds(time.Since(begun)), nil
}

func ask(ctx context.Context, z *host.Zygote) error {
	w, err := z.Spawn(ctx, host.WorkerOptions{CPU: host.AnyCPU, Lanes: 1})
	if err != nil {
		return err
	}
	_, err = w.Call(ctx, host.Call{Function: "f", Body: []byte(`{"n":1}`), RequestID: "cold"})
	return err
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// instance starts whole instances: an agent, its host and its worker, as requests
// to a deployment that has none do.
func (c *cold) instance(ctx context.Context) (_ ColdRow, _ *Rest, err error) {
	row := ColdRow{What: ColdInstance, Function: c.name}
	project, err := workflow.Load(filepath.Join(c.dir, "project"))
	if err != nil {
		return row, nil, err
	}
	made := &plan.Plan{Workflow: "cold", Model: "bench", Wraps: []plan.Wrap{{
		Name: "wrap-1", CPUs: 1, Processes: []plan.Process{{Mode: plan.Pool, CPU: plan.Unpinned, Tasks: []string{"T"}}},
	}}}
	bundles, err := bundle.Build(ctx, bundle.Options{Project: project, Plan: made, OutDir: filepath.Join(c.dir, "b")})
	if err != nil {
		return row, nil, err
	}
	target, err := local.New(local.Options{Agent: c.o.Agent, Dir: filepath.Join(c.dir, "s")})
	if err != nil {
		return row, nil, err
	}
	var running [2]deploy.Scalable // without and with a warm interpreter
	for i, name := range []string{"new", "forked"} {
		up, err := target.Up(ctx, deploy.Deployment{Name: name, Plan: made, Bundles: bundles, Warm: i == 1})
		if err != nil {
			return row, nil, err
		}
		defer func() { err = errors.Join(err, up.Down(context.WithoutCancel(ctx))) }()
		running[i] = up.(deploy.Scalable)
	}
	var took [2][]float64
	for round := range c.o.Rounds + 1 {
		c.o.Progress(fmt.Sprintf("%s, %s: round %d of %d", row.What, c.name, round, c.o.Rounds))
		for i, r := range running {
			ms, err := coldInstance(ctx, r)
			if err != nil {
				return row, nil, err
			}
			if round > 0 {
				took[i] = append(took[i], ms)
			}
		}
	}
	row.New, row.Forked = quantile.Median(took[0]), quantile.Median(took[1])
	if c.o.Rest < 0 || c.name != coldHandlers[0].name {
		return row, nil, nil
	}
	c.o.Progress(fmt.Sprintf("watching a wrap that nobody calls for %v", c.o.Rest))
	rest, err := watch(ctx, running[0], c.o.Rest)
	return row, rest, err
}

// coldInstance is how long an instance takes from its start to its first answer.
func coldInstance(ctx context.Context, r deploy.Scalable) (ms float64, err error) {
	begun := time.Now()
	i, err := r.Start(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, i.Stop(context.WithoutCancel(ctx))) }()
	network, address, _ := i.Address("wrap-1")
	client := serving.Client(deploy.Endpoint{Network: network, Address: address})
	defer client.CloseIdleConnections()
	if _, _, err := serving.Post(ctx, client, "/", []byte(`{"n":1}`), false); err != nil {
		return 0, err
	}
	return milliseconds(time.Since(begun)), nil
}

// WriteText writes the report as tables of at most 100 columns.
func (r *ColdReport) WriteText(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "start to first answer, median ms\n")
	fmt.Fprintf(&b, "%-20s %-9s %15s %10s %7s %18s  %s\n", "WHAT", "FUNCTION", "new interpreter", "forked", "ratio", "handler imported", "target")
	for _, row := range r.Rows {
		handler := "·"
		if row.Handler > 0 {
			handler = fmt.Sprintf("%.1f", row.Handler)
		}
		verdict := "≤ 0.33: missed"
		if row.Ratio() <= coldTarget {
			verdict = "≤ 0.33: met"
		}
		fmt.Fprintf(&b, "%-20s %-9s %15.1f %10.1f %7.2f %18s  %s\n", row.What, row.Function, row.New, row.Forked, row.Ratio(), handler, verdict)
	}
	if r.Rest != nil {
		r.Rest.text(&b)
	}
	_, err := w.Write(b.Bytes())
	return err
}
