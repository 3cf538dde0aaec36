package accuracy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/local"
)

const (
	// requestsPerRound are timed; one that is not goes before them, since the
	// placement's processes have slept while the others had their turn.
	requestsPerRound = 6
	// warmUps come before the first round.
	warmUps = 3
	// maxAnswer bounds a response, bytes.
	maxAnswer = 64 << 20
	// headerTrace asks a wrap for the spans of a request: see wrap.Span.
	headerTrace = "Chiron-Trace"
)

// served is a placement that is up.
type served struct {
	*Placement
	dir     string
	running deploy.Running
	client  *http.Client
	rounds  [][]time.Duration
	traces  []json.RawMessage
	failure error
}

// measure brings a batch of placements up, measures them, and takes them down.
func (s *session) measure(ctx context.Context, w *subject, batch []*Placement) (_ []*measurement, err error) {
	s.batches++
	// It is short, since sockets lie below; of its own for each, since the
	// local target deals out CPUs by what else is up.
	dir := filepath.Join(s.dir, fmt.Sprint("b", s.batches))
	all := make([]*served, len(batch))
	for i, p := range batch {
		all[i] = &served{Placement: p, dir: filepath.Join(dir, fmt.Sprint(i))}
	}
	defer func() { err = errors.Join(err, s.takeDown(ctx, all), os.RemoveAll(dir)) }()
	// Once, before several ask at the same time.
	for _, f := range w.project.Functions {
		if _, err := s.interpreter(ctx, f.Lang, f.Runtime); err != nil {
			return nil, err
		}
	}
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	for i, p := range all {
		s.tell(w, "deploy", i, len(all))
		group.Go(func() error { p.failure = s.bringUp(ctx, w, p); return nil })
	}
	_ = group.Wait() // each keeps its own failure
	begin := time.Now().UTC()
	before, err := readLoad()
	if err != nil {
		return nil, err
	}
	for round := range s.Rounds {
		s.tell(w, "measure", round, s.Rounds)
		for i := range all {
			p := all[i]
			if round%2 == 1 { // nobody always comes after the same
				p = all[len(all)-1-i]
			}
			if p.failure == nil {
				p.failure = p.turn(ctx, w.project.Input, round == 0)
			}
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
		}
	}
	after, err := readLoad()
	if err != nil {
		return nil, err
	}
	end := time.Now().UTC()
	var measured []*measurement
	var failures []error
	for _, p := range all {
		m := &measurement{Placement: p.ID, Begin: begin, End: end, Latencies: p.rounds, Traces: p.traces, Others: others(before, after)}
		if p.failure != nil {
			m.Latencies, m.Traces, m.Failure = nil, nil, p.failure.Error()
			failures = append(failures, fmt.Errorf("%s: %w", p.name(), p.failure))
		}
		measured = append(measured, m)
	}
	if len(failures) == len(all) {
		return nil, failures[0] // it is not the placements' fault
	}
	return measured, nil
}

// bringUp builds and starts a placement.
func (s *session) bringUp(ctx context.Context, w *subject, p *served) error {
	target, err := local.New(local.Options{
		Binary: s.Binary, Dir: filepath.Join(p.dir, "s"), CPUs: s.cpus[:min(p.CPUs, len(s.cpus))],
		BytecodeCache: filepath.Join(w.dir, "bytecode"),
	})
	if err != nil {
		return err
	}
	bundles, err := bundle.Build(ctx, bundle.Options{
		Project: w.project, Plan: p.Plan, OutDir: filepath.Join(p.dir, "b"),
		Interpreter: func(ctx context.Context, lang, runtime string) (string, error) {
			return s.interpreters[[2]string{lang, runtime}], nil
		},
	})
	if err != nil {
		return err
	}
	if p.running, err = target.Up(ctx, deploy.Deployment{Name: "p", Plan: p.Plan, Bundles: bundles}); err != nil {
		return err
	}
	p.client = clientOf(p.running.Workflow())
	return nil
}

// takeDown ends what is up.
func (s *session) takeDown(ctx context.Context, all []*served) error {
	ctx = context.WithoutCancel(ctx) // also where it has ended: nothing may run on
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	failures := make([]error, len(all))
	for i, p := range all {
		if p.running == nil {
			continue
		}
		group.Go(func() error {
			p.client.CloseIdleConnections()
			failures[i] = p.running.Down(ctx)
			return nil
		})
	}
	_ = group.Wait() // each keeps its own failure
	return errors.Join(failures...)
}

// clientOf talks to one wrap on one connection.
func clientOf(endpoint deploy.Endpoint) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return endpoint.Dial(ctx) },
		DisableCompression: true,
	}}
}

// turn is one placement's in a round.
func (p *served) turn(ctx context.Context, input []byte, first bool) error {
	idle := 1
	if first {
		idle = warmUps
	}
	var took []time.Duration
	for i := range idle + requestsPerRound {
		begun := time.Now()
		if _, err := invoke(ctx, p.client, input, false); err != nil {
			return err
		}
		if i >= idle {
			took = append(took, time.Since(begun))
		}
	}
	p.rounds = append(p.rounds, took)
	trace, err := invoke(ctx, p.client, input, true)
	if err != nil {
		return err
	}
	p.traces = append(p.traces, trace)
	return nil
}

// invoke makes a request; with traced it returns the spans of its tasks, which
// no request that counts is asked for.
func invoke(ctx context.Context, client *http.Client, input []byte, traced bool) (trace json.RawMessage, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://wrap/", bytes.NewReader(input))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if traced {
		req.Header.Set(headerTrace, "1")
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("a request was answered with status %d: %.300s", res.StatusCode, body)
	}
	if !traced {
		return nil, nil
	}
	trace = json.RawMessage(res.Header.Get(headerTrace))
	if !json.Valid(trace) {
		return nil, fmt.Errorf("a request's trace is no JSON: %.300s", trace)
	}
	return trace, nil
}
