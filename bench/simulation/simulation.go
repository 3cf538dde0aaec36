package simulation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/chiron-faas/chiron/bench/load"
	"github.com/chiron-faas/chiron/deploy/local"
	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/pgp"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/simulate"
)

// Options of Run. Prepare's Project and Agent are needed.
type Options struct {
	Prepare pipeline.PrepareOptions
	// Rates of requests a second, one after the other; nil: DefaultRates.
	Rates []float64
	// Length of each; 0: DefaultLength.
	Length   time.Duration
	Seed     uint64
	Progress func(text string)
}

// DefaultLength of a rate.
const DefaultLength = 30 * time.Second

// DefaultRates are from hardly any to what keeps a machine of two CPUs busy with
// examples/finra-5.
func DefaultRates() []float64 { return []float64{1, 3, 6, 9} }

// maxRate is more than any of our workflows takes of a machine.
const maxRate = 10_000

// Check says what is wrong with the options.
func (o *Options) Check() error {
	for _, r := range o.Rates {
		if !(r > 0 && r <= maxRate) {
			return fmt.Errorf("a rate of %v: give more than 0 and at most %d requests a second", r, maxRate)
		}
	}
	if o.Length < 0 {
		return fmt.Errorf("a length of %v: give a positive one", o.Length)
	}
	return nil
}

// Report of a run.
type Report struct {
	Machine profile.Machine `json:"machine"`
	Project string          `json:"project"`
	Plan    string          `json:"plan"`
	Seed    uint64          `json:"seed"`
	Rows    []Row           `json:"rows"`
}

// Row is one rate.
type Row struct {
	Rate      float64 `json:"rate_per_second"`
	Requests  int     `json:"requests"`
	Served    Figures `json:"served"`
	Simulated Figures `json:"simulated"`
}

// Figures of latencies.
type Figures struct {
	Mean pipeline.Millis `json:"mean_ms"`
	P50  pipeline.Millis `json:"p50_ms"`
	P90  pipeline.Millis `json:"p90_ms"`
	P99  pipeline.Millis `json:"p99_ms"`
}

// Run serves the project's plan and sends requests. When it returns, nothing of it
// runs on.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	if err := o.Check(); err != nil {
		return nil, fmt.Errorf("simulation: %w", err)
	}
	if o.Rates == nil {
		o.Rates = DefaultRates()
	}
	if o.Length == 0 {
		o.Length = DefaultLength
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	project := o.Prepare.Project
	planned, err := pipeline.PlanToServe(ctx, o.Prepare, false)
	if err != nil {
		return nil, err
	}
	r := &Report{Machine: profile.ThisMachine(), Project: project.Name, Plan: title(planned), Seed: o.Seed}
	times := make([][]time.Duration, len(o.Rates))
	for i, rate := range o.Rates {
		times[i] = arrivals(rate, o.Length, o.Seed)
		if len(times[i]) < 2 {
			return nil, fmt.Errorf("simulation: %d requests at %v/s in %v: give a longer time", len(times[i]), rate, o.Length)
		}
		r.Rows = append(r.Rows, Row{Rate: rate, Requests: len(times[i])})
	}
	if err := r.serve(ctx, &o, planned, times); err != nil {
		return nil, err
	}
	return r, r.simulate(ctx, &o, times)
}

func title(p *plan.Plan) string {
	first, _, _ := strings.Cut(p.Tree(100), "\n")
	return first
}

// arrivals are the times of a rate.
func arrivals(rate float64, length time.Duration, seed uint64) (times []time.Duration) {
	p := simulate.NewPoisson(rate, seed)
	for {
		at, more := p.Next()
		if !more || at > length {
			return times
		}
		times = append(times, at)
	}
}

// warmUps are requests before the first that counts.
const warmUps = 20

// serve measures every rate on one deployment behind its gateway.
func (r *Report) serve(ctx context.Context, o *Options, planned *plan.Plan, times [][]time.Duration) (err error) {
	project := o.Prepare.Project
	listener, err := pipeline.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	target, err := local.New(local.Options{Agent: o.Prepare.Agent})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	served, err := pipeline.Serve(ctx, pipeline.ServeOptions{
		Project: project, Plan: planned, Name: "bench-" + project.Name, Version: "bench", Target: target, Listener: listener,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, served.Close()) }()
	at, err := url.Parse(served.URL)
	if err != nil {
		return fmt.Errorf("simulation: %w", err)
	}
	to := load.Target{Network: "tcp", Address: at.Host, Path: "/function/" + project.Name, Body: project.Input}
	if _, err := load.Run(ctx, to, load.Options{Connections: 1, Requests: warmUps}); err != nil {
		return err
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		o.Progress(fmt.Sprintf("%v/s: %d requests", row.Rate, row.Requests))
		got, err := load.Open(ctx, to, times[i])
		if err != nil {
			return fmt.Errorf("%v/s: %w", row.Rate, err)
		}
		row.Served = figures(got.Latencies)
	}
	return nil
}

// simulate plays the same on paper: one instance, this machine.
func (r *Report) simulate(ctx context.Context, o *Options, times [][]time.Duration) error {
	for i := range r.Rows {
		row := &r.Rows[i]
		s, err := pipeline.Simulate(ctx, pipeline.SimulateOptions{
			Prepare: o.Prepare, Models: []string{pgp.Name},
			Arrivals: func() simulate.Arrivals { return &played{times: times[i], every: o.Length + apart} },
			Run: simulate.Options{
				Nodes: 1, Node: simulate.Node{CPUs: runtime.NumCPU()}, Requests: rounds * row.Requests, Min: 1, Max: 1, Seed: o.Seed,
			},
		})
		if err != nil {
			return err
		}
		row.Simulated = figures(s.Models[0].Result.Latencies)
	}
	return nil
}

// rounds of a rate on paper, one behind the other: its figures are not to depend
// on which requests are drawn.
const rounds = 20

// apart is so long between two rounds that no request of the one meets the next's.
const apart = time.Hour

// played are times again and again.
type played struct {
	times []time.Duration
	every time.Duration
	next  int
}

// Next implements simulate.Arrivals.
func (p *played) Next() (time.Duration, bool) {
	round := p.next / len(p.times)
	at := time.Duration(round)*p.every + p.times[p.next%len(p.times)]
	p.next++
	return at, round < rounds
}

func figures(latencies []time.Duration) Figures {
	of := func(percentile float64) pipeline.Millis {
		return pipeline.Millis((&pipeline.Objective{Percentile: percentile}).Of(latencies))
	}
	return Figures{Mean: of(0), P50: of(50), P90: of(90), P99: of(99)}
}

// WriteText writes the report as tables.
func (r *Report) WriteText(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "%s\n%d CPUs, seed %d; ms, served / simulated (error)\n\n", r.Plan, r.Machine.CPUs, r.Seed); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, err := fmt.Fprintln(t, "rate\trequests\tmean\tp50\tp90\tp99")
	for _, row := range r.Rows {
		_, e := fmt.Fprintf(t, "%v/s\t%d\t%s\t%s\t%s\t%s\n", row.Rate, row.Requests, side(row.Served.Mean, row.Simulated.Mean),
			side(row.Served.P50, row.Simulated.P50), side(row.Served.P90, row.Simulated.P90), side(row.Served.P99, row.Simulated.P99))
		err = errors.Join(err, e)
	}
	return errors.Join(err, t.Flush())
}

func side(served, simulated pipeline.Millis) string {
	s, p := time.Duration(served).Seconds()*1e3, time.Duration(simulated).Seconds()*1e3
	return fmt.Sprintf("%.1f / %.1f (%+.0f %%)", s, p, math.Round(100*(p-s)/s))
}
