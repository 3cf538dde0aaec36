package systems

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/internal/prices"
	"github.com/chiron-faas/chiron/internal/quantile"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/pgp"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// Report is what a run measured, and what follows from it.
type Report struct {
	Machine profile.Machine `json:"machine"`
	// Binary is the digest of the chiron that served and its agent.
	Binary  string        `json:"binary"`
	Begin   time.Time     `json:"begin"`
	End     time.Time     `json:"end"`
	Rounds  int           `json:"rounds"`
	Load    time.Duration `json:"load_ns"`
	Systems []string      `json:"systems"`
	// Prices that money is worked out by.
	Prices    *prices.Table `json:"prices"`
	Workflows []Workflow    `json:"workflows"`
	Targets   []Target      `json:"targets"`
	Notes     []string      `json:"notes,omitempty"`
}

// Workflow is one workflow under all systems.
type Workflow struct {
	Name string `json:"name"`
	// Tasks, Stages and the most tasks that may run beside each other.
	Tasks    int `json:"tasks"`
	Stages   int `json:"stages"`
	Parallel int `json:"parallel"`
	// SLO is Faastlane's mean of the rounds and Slack, Searched what plans were
	// searched for before the rounds, less the margin.
	SLO      time.Duration `json:"slo_ns"`
	Searched time.Duration `json:"searched_slo_ns"`
	// Bound is what no plan can be faster than on this machine.
	Bound time.Duration `json:"bound_ns"`
	// Others is the part of the machine that other programs used in the rounds.
	Others   float64    `json:"others"`
	Rows     []Row      `json:"rows"`
	Excluded []Excluded `json:"excluded,omitempty"`
	// Modelled is AWS Step Functions; nothing of it was measured.
	Modelled *Modelled `json:"modelled,omitempty"`
	// Simulated is the paper's node; nothing of it was measured.
	Simulated []Simulated `json:"simulated,omitempty"`

	definition *workflow.Definition
}

// Excluded is a system that cannot run the workflow.
type Excluded struct {
	System string `json:"system"`
	Why    string `json:"why"`
}

// Row is one system's.
type Row struct {
	System string `json:"system"`
	// Failure in one line, where it could not be measured: nothing else counts then.
	Failure string `json:"failure,omitempty"`
	// Plan in numbers: its modes are those of its processes, "pool+fork".
	Wraps     int    `json:"wraps"`
	Processes int    `json:"processes"`
	CPUs      int    `json:"cpus"`
	Modes     string `json:"modes"`
	// Missed says that the plan was not predicted to meet Workflow.Searched.
	Missed bool `json:"missed,omitempty"`

	// Requests that were timed, side by side with the other systems'.
	Requests int           `json:"requests"`
	Mean     time.Duration `json:"mean_ns"`
	Median   time.Duration `json:"median_ns"`
	P99      time.Duration `json:"p99_ns"`
	// Violations is the part of the requests that took longer than the SLO.
	Violations float64 `json:"violations"`
	// Path is the median of the time in which none of the request's functions ran.
	Path time.Duration `json:"path_ns"`
	// Start, Run and End of parallel functions: medians of when their handlers
	// began, how long they ran, and when they ended, from their stage's begin.
	Start time.Duration `json:"start_ns,omitempty"`
	Run   time.Duration `json:"run_ns,omitempty"`
	Ended time.Duration `json:"end_ns,omitempty"`

	// Rest and Busy are the memory of all wraps (PSS), bytes, and Live the processes
	// at rest.
	Rest int64 `json:"rest_bytes"`
	Busy int64 `json:"busy_bytes"`
	Live int   `json:"live_processes"`
	// Rate is the throughput at saturation, requests a second.
	Rate float64 `json:"requests_per_second"`
	// PerCPU is Rate by the CPUs that the plan is allocated, PerHad by those of them
	// that this machine has.
	PerCPU float64 `json:"requests_per_second_per_cpu"`
	PerHad float64 `json:"requests_per_second_per_cpu_had"`
	// CPU time of the wraps for each request at saturation.
	CPU time.Duration `json:"cpu_ns"`
	// Money for a million requests, USD.
	Money float64 `json:"usd_per_million"`

	latencies []time.Duration // ascending
	phases    []phase
	median    *traced // the traced request whose latency is the median
	plan      *plan.Plan
}

// report makes the figures.
func (a *archive) report(table string) (*Report, error) {
	r := &Report{Notes: a.notes}
	var err error
	if r.Prices, err = prices.Load(table); err != nil {
		return nil, err
	}
	if s := a.setup; s != nil {
		r.Machine, r.Binary, r.Systems, r.Rounds, r.Load = s.Machine, s.Binary, s.Systems, s.Rounds, s.Load
	}
	for _, m := range a.workflows {
		if m.prepared == nil || m.rounds == nil {
			continue
		}
		if r.Begin.IsZero() || m.rounds.Begin.Before(r.Begin) {
			r.Begin = m.rounds.Begin
		}
		if m.rounds.End.After(r.End) {
			r.End = m.rounds.End
		}
		w := m.report(r)
		w.Modelled = modelled(m.definition, m.profile, r.Prices)
		if w.Simulated, err = simulated(m, a.calibration, w); err != nil {
			return nil, fmt.Errorf("workflow %q on the paper's node: %w", m.name, err)
		}
		r.Workflows = append(r.Workflows, *w)
	}
	r.Targets = r.targets()
	return r, nil
}

// report makes a workflow's figures.
func (m *measured) report(r *Report) *Workflow {
	w := &Workflow{Name: m.name, Tasks: len(m.definition.Tasks()), Searched: m.Aim, Others: m.rounds.Others, definition: m.definition}
	for _, stage := range m.definition.Stages() {
		w.Stages++
		w.Parallel = max(w.Parallel, len(stage.Root.Strands()))
	}
	w.Bound = bound(m.definition, m.profile, r.Machine.CPUs)
	for _, t := range m.rounds.Systems {
		if t.System == yardstick && len(t.Latencies) > 0 {
			w.SLO = mean(durations(t.Latencies)) + Slack
		}
	}
	for _, one := range m.Plans {
		if one.Plan == nil {
			w.Excluded = append(w.Excluded, Excluded{System: one.System, Why: one.Excluded})
			continue
		}
		row := rowOf(one)
		for i := range m.rounds.Systems {
			if t := &m.rounds.Systems[i]; t.System == one.System {
				row.time(t, w)
				row.serve(t.Loads, r.Machine.CPUs)
			}
		}
		if a := m.alone[one.System]; a != nil {
			row.weigh(a)
		}
		row.price(r.Prices)
		w.Rows = append(w.Rows, row)
	}
	order := Names()
	slices.SortStableFunc(w.Rows, func(a, b Row) int {
		return cmp.Compare(slices.Index(order, a.System), slices.Index(order, b.System))
	})
	return w
}

// rowOf describes a plan.
func rowOf(m made) Row {
	row := Row{System: m.System, Wraps: len(m.Plan.Wraps), CPUs: m.Plan.CPUs(), Missed: m.Missed, plan: m.Plan}
	for _, mode := range plan.Modes() {
		has := false
		for _, w := range m.Plan.Wraps {
			for _, p := range w.Processes {
				has = has || p.Mode == mode
			}
		}
		if has && row.Modes != "" {
			row.Modes += "+"
		}
		if has {
			row.Modes += string(mode)
		}
	}
	for _, w := range m.Plan.Wraps {
		row.Processes += len(w.Processes)
	}
	return row
}

// time takes what the rounds gave.
func (row *Row) time(t *timing, w *Workflow) {
	if t.Failure != "" {
		row.Failure = t.Failure
		return
	}
	row.latencies = slices.Sorted(slices.Values(durations(t.Latencies)))
	row.Requests = len(row.latencies)
	row.Mean, row.Median, row.P99 = mean(row.latencies), quantile.Median(row.latencies), quantile.Nearest(row.latencies, 99)
	late := 0
	for _, l := range row.latencies {
		if l > w.SLO {
			late++
		}
	}
	if row.Requests > 0 {
		row.Violations = float64(late) / float64(row.Requests)
	}
	var paths, starts, runs, ends []time.Duration
	for i := range t.Traced {
		one := &t.Traced[i]
		paths = append(paths, one.path())
		for _, p := range one.phases(w.definition) {
			row.phases = append(row.phases, p)
			starts, runs, ends = append(starts, p.start), append(runs, p.run), append(ends, p.end)
		}
	}
	row.Path = quantile.Median(paths)
	row.Start, row.Run, row.Ended = quantile.Median(starts), quantile.Median(runs), quantile.Median(ends)
	if n := len(t.Traced); n > 0 {
		byLatency := slices.Clone(t.Traced)
		slices.SortFunc(byLatency, func(a, b traced) int { return cmp.Compare(a.Latency, b.Latency) })
		row.median = &byLatency[(n-1)/2]
	}
}

// weigh takes what was measured alone.
func (row *Row) weigh(a *alone) {
	if a.Failure != "" && row.Failure == "" {
		row.Failure = a.Failure
	}
	row.Rest, row.Busy, row.Live = a.Rest, a.Busy, a.Processes
}

// serve takes what the loads gave: the median rate of the number of connections
// that gives the most.
func (row *Row) serve(loads []loaded, cpus int) {
	rates, work := make(map[int][]float64), make(map[int][]time.Duration)
	for _, l := range loads {
		rates[l.Connections] = append(rates[l.Connections], l.Rate)
		work[l.Connections] = append(work[l.Connections], micros(l.CPU))
	}
	for connections := range rates {
		if rate := quantile.Median(rates[connections]); rate > row.Rate {
			row.Rate, row.CPU = rate, quantile.Median(work[connections])
		}
	}
	row.PerCPU = row.Rate / float64(row.CPUs)
	row.PerHad = row.Rate / float64(min(row.CPUs, cpus))
}

// price works out what a million requests cost: each holds the plan's CPUs and
// memory for as long as it takes.
func (row *Row) price(t *prices.Table) {
	row.Money = pricesOf(t).Money(plan.Usage{Latency: row.Mean, CPUs: row.CPUs, Memory: row.Busy})
}

func pricesOf(t *prices.Table) plan.Prices {
	return plan.Prices{GBSecond: t.GBSecond, GHzSecond: t.GHzSecond, GHzPerCPU: t.GHzPerCPU, Transition: t.Transition}
}

// Failed says which systems could not be measured; nil: all could.
func (r *Report) Failed() error {
	var failures []error
	for i := range r.Workflows {
		for k := range r.Workflows[i].Rows {
			if row := &r.Workflows[i].Rows[k]; row.Failure != "" {
				failures = append(failures, fmt.Errorf("%s under %s: %s", r.Workflows[i].Name, row.System, row.Failure))
			}
		}
	}
	return errors.Join(failures...)
}

// row of a system; nil where there is none that was measured.
func (w *Workflow) row(system string) *Row {
	for i := range w.Rows {
		if w.Rows[i].System == system && w.Rows[i].Failure == "" {
			return &w.Rows[i]
		}
	}
	return nil
}

// chiron is the row that others are held against.
func (w *Workflow) chiron() *Row { return w.row(pgp.Name) }

// bound is what no plan can be faster than on so many CPUs: no stage is shorter
// than its longest way, nor than what its functions compute shared out evenly, each
// as fast as alone.
func bound(d *workflow.Definition, p *profile.Profile, cpus int) time.Duration {
	var sum time.Duration
	for _, stage := range d.Stages() {
		way, work := longestWay(stage.Root, p)
		sum += max(way, work/time.Duration(max(cpus, 1)))
	}
	return sum
}

// longestWay through a tree by the functions' mean times, and what they compute
// together.
func longestWay(b *workflow.Block, p *profile.Profile) (way, work time.Duration) {
	if b.Kind == workflow.BlockTask {
		f, ok := p.Task(b.Task.Name)
		if !ok {
			return 0, 0
		}
		for _, period := range f.Periods {
			if period.Class != profile.Block {
				work += period.Mean
			}
		}
		return f.Wall.Mean, work
	}
	for _, child := range b.Children {
		w, c := longestWay(child, p)
		work += c
		if b.Kind == workflow.BlockSeries {
			way += w
		} else {
			way = max(way, w)
		}
	}
	return way, work
}

func durations(us []int64) []time.Duration {
	out := make([]time.Duration, len(us))
	for i, n := range us {
		out[i] = micros(n)
	}
	return out
}

func mean(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	var sum time.Duration
	for _, d := range all {
		sum += d
	}
	return sum / time.Duration(len(all))
}

// ms is for text and figures only.
func ms(d time.Duration) float64 { return float64(d) / 1e6 }
