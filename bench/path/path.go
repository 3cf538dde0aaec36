package path

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/bench/load"
)

// Options of Run. Chiron is needed.
type Options struct {
	// Chiron is the program that is measured, with its agent beside it.
	Chiron string
	// Rounds of each figure and how long each is; 0: 7 and one second.
	Rounds int
	Round  time.Duration
	// Steady is the number of requests of the last test, which watches memory
	// and file descriptors; 0: 100,000; negative: none.
	Steady int
	// Progress, when set, is told what is being done.
	Progress func(string)
}

// Report is what Run measured.
type Report struct {
	Rows []Row `json:"rows"`
	// Notes say what could not be measured, and how it could.
	Notes  []string `json:"notes,omitempty"`
	Steady *Steady  `json:"steady,omitempty"`
}

// Row is one system with one number of connections; medians over the rounds.
type Row struct {
	Name        string  `json:"name"`
	Connections int     `json:"connections"`
	MedianMS    float64 `json:"median_ms"`
	P99MS       float64 `json:"p99_ms"`
	Rate        float64 `json:"requests_per_second"`
	// Target that the row is held to, in words; empty: none.
	Target string `json:"target,omitempty"`
	Meets  bool   `json:"meets,omitempty"`
}

// Names of the rows.
const (
	Flask    = "Flask with waitress"
	Agent    = "agent → host"
	Gateway  = "gateway → agent → host"
	Workflow = "workflow of 10 functions"
)

// The targets, for two cores.
const (
	targetLatencyMS  = 0.3
	targetRate       = 6000
	targetWorkflowMS = 1.0
	connections      = 32
)

// subject is one row while it is measured.
type subject struct {
	row     Row
	target  load.Target
	results []load.Result
}

// body has 100 bytes of JSON.
var body = []byte(`{"message":"` + string(bytes.Repeat([]byte("x"), 100-14)) + `"}`)

// Run measures. It leaves nothing running.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	if o.Rounds <= 0 {
		o.Rounds = 7
	}
	if o.Round <= 0 {
		o.Round = time.Second
	}
	if o.Steady == 0 {
		o.Steady = 100_000
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	dir, err := os.MkdirTemp("", "chiron-bench")
	if err != nil {
		return nil, fmt.Errorf("bench path: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	report := &Report{}
	o.Progress("starting one function, the workflow and Flask")
	one, err := start(ctx, o.Chiron, dir, "one", 1)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, one.Stop()) }()
	agent, err := one.Agent(ctx)
	if err != nil {
		return nil, fmt.Errorf("bench path: %w", err)
	}
	ten, err := start(ctx, o.Chiron, dir, "ten", 10)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ten.Stop()) }()
	subjects := []*subject{
		{row: Row{Name: Agent, Connections: 1}, target: agent},
		{row: Row{Name: Agent, Connections: connections}, target: agent},
		{row: Row{Name: Gateway, Connections: 1, Target: fmt.Sprintf("≤ %.1f ms", targetLatencyMS)}, target: one.Gateway()},
		{row: Row{Name: Gateway, Connections: connections, Target: fmt.Sprintf("≥ %d/s", targetRate)}, target: one.Gateway()},
		{row: Row{Name: Workflow, Connections: 1, Target: fmt.Sprintf("< %.0f ms", targetWorkflowMS)}, target: ten.Gateway()},
	}
	flask, err := startFlask(ctx, dir)
	var missing *missingError
	switch {
	case errors.As(err, &missing):
		report.Notes = append(report.Notes, missing.Error())
	case err != nil:
		return nil, err
	default:
		defer func() { err = errors.Join(err, flask.stop()) }()
		subjects = append([]*subject{
			{row: Row{Name: Flask, Connections: 1}, target: flask.target},
			{row: Row{Name: Flask, Connections: connections}, target: flask.target},
		}, subjects...)
	}
	if err := measure(ctx, o, subjects); err != nil {
		return nil, err
	}
	for _, s := range subjects {
		report.Rows = append(report.Rows, s.finish())
	}
	if o.Steady > 0 {
		o.Progress(fmt.Sprintf("%d requests, watching memory and file descriptors", o.Steady))
		if report.Steady, err = steady(ctx, one, o.Steady); err != nil {
			return nil, err
		}
	}
	return report, nil
}

// measure interleaves the rounds of all subjects, after one to warm up.
func measure(ctx context.Context, o Options, subjects []*subject) error {
	for round := range o.Rounds + 1 {
		length := o.Round
		if round == 0 {
			length = o.Round / 2
		}
		for _, s := range subjects {
			o.Progress(fmt.Sprintf("round %d of %d: %s, %d connections", round, o.Rounds, s.row.Name, s.row.Connections))
			r, err := load.Run(ctx, s.target, load.Options{Connections: s.row.Connections, Duration: length})
			if err != nil {
				return fmt.Errorf("bench path: %s: %w", s.row.Name, err)
			}
			if round > 0 {
				s.results = append(s.results, r)
			}
		}
	}
	return nil
}

func (s *subject) finish() Row {
	median := func(of func(load.Result) float64) float64 {
		var v []float64
		for _, r := range s.results {
			v = append(v, of(r))
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	s.row.MedianMS = median(func(r load.Result) float64 { return float64(r.Percentile(50)) / 1e6 })
	s.row.P99MS = median(func(r load.Result) float64 { return float64(r.Percentile(99)) / 1e6 })
	s.row.Rate = median(load.Result.Rate)
	switch {
	case s.row.Name == Gateway && s.row.Connections == 1:
		s.row.Meets = s.row.MedianMS <= targetLatencyMS
	case s.row.Name == Gateway:
		s.row.Meets = s.row.Rate >= targetRate
	case s.row.Name == Workflow:
		s.row.Meets = s.row.MedianMS < targetWorkflowMS
	}
	return s.row
}

// WriteText writes the report as a table of at most 100 columns.
func (r *Report) WriteText(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%-26s %11s  %9s  %9s  %10s  %s\n", "PATH", "connections", "median ms", "p99 ms", "requests/s", "target")
	for _, row := range r.Rows {
		verdict := row.Target
		switch {
		case verdict == "":
		case row.Meets:
			verdict += ": met"
		default:
			verdict += ": missed"
		}
		fmt.Fprintf(&b, "%-26s %11d  %9.3f  %9.3f  %10.0f  %s\n", row.Name, row.Connections, row.MedianMS, row.P99MS, row.Rate, verdict)
	}
	if s := r.Steady; s != nil {
		fmt.Fprintf(&b, "\n%d requests over %d connections, %.0f a second\n", s.Requests, s.Connections, s.Rate)
		fmt.Fprintf(&b, "%-26s %14s %14s %14s\n", "PROCESSES", "after a tenth", "half", "all")
		fmt.Fprintf(&b, "%-26s", "memory, MB")
		for _, x := range s.Samples {
			fmt.Fprintf(&b, " %14.1f", float64(x.Memory)/1e6)
		}
		fmt.Fprintf(&b, "\n%-26s", "file descriptors")
		for _, x := range s.Samples {
			fmt.Fprintf(&b, " %14d", x.Descriptors)
		}
		b.WriteByte('\n')
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	_, err := w.Write(b.Bytes())
	return err
}
