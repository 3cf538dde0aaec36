package accuracy

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/chiron-faas/chiron/internal/quantile"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
)

// Report is the experiment's result.
type Report struct {
	Machine profile.Machine `json:"machine"`
	Created time.Time       `json:"created"`
	Seed    int64           `json:"seed"`
	Sample  int             `json:"sample"`
	// Calibration is the last of the run's.
	Calibration *predict.Calibration `json:"calibration"`
	Workflows   []Workflow           `json:"workflows"`
	// Notes are what a reader must know, one line each.
	Notes []string `json:"notes,omitempty"`
}

// Workflow is what was found of one.
type Workflow struct {
	Name string `json:"name"`
	Rows []Row  `json:"rows"`
	// Pending placements are not measured yet.
	Pending int `json:"pending"`
	// Drift is by which part the functions together had become slower, alone, at
	// the experiment's end.
	Drift float64 `json:"drift"`
	// Others is the part of the machine's CPUs that other programs used while the
	// placements were measured. What they take is missing to those placements
	// that use many CPUs, and no prediction knows of it.
	Others float64 `json:"others"`
	// Notes name the models that cannot run the workflow and placements that
	// failed, and why.
	Notes []string `json:"notes,omitempty"`
}

// Row is one placement, predicted and measured. Durations are nanoseconds in
// JSON.
type Row struct {
	// ID of the placement; Model that made it, empty for one of all; Name says
	// what is where.
	ID    string `json:"id"`
	Model string `json:"model,omitempty"`
	Name  string `json:"name"`
	// Mode of its processes, empty where a model chose it.
	Mode string `json:"mode,omitempty"`
	// CPUs that it ran on.
	CPUs      int `json:"cpus"`
	Wraps     int `json:"wraps"`
	Processes int `json:"processes"`
	// SwitchInterval of its first process; 0: the interpreter's own.
	SwitchInterval time.Duration `json:"switch_interval_ns,omitempty"`
	Requests       int           `json:"requests"`

	// Predicted is the mean of the requests that the predictor draws, and its
	// percentiles are theirs.
	Predicted    time.Duration `json:"predicted_ns"`
	PredictedP50 time.Duration `json:"predicted_p50_ns"`
	PredictedP90 time.Duration `json:"predicted_p90_ns"`
	PredictedP99 time.Duration `json:"predicted_p99_ns"`
	// latencies of the requests.
	latencies []time.Duration
	// Measured is the mean of the requests.
	Measured time.Duration `json:"measured_ns"`
	StdDev   time.Duration `json:"stddev_ns"`
	P50      time.Duration `json:"p50_ns"`
	P90      time.Duration `json:"p90_ns"`
	P99      time.Duration `json:"p99_ns"`
	// Others as Workflow has it, while this placement was measured.
	Others float64 `json:"others"`
	// Longest adds up every stage's longest function, Sum all functions; Paper
	// is the paper's own model: the yardsticks. 0: not known.
	Longest time.Duration `json:"longest_ns"`
	Sum     time.Duration `json:"sum_ns"`
	Paper   time.Duration `json:"paper_ns"`
	// Learned are the predictions of learned models, where they were not trained
	// with this placement.
	Learned map[string]time.Duration `json:"learned_ns,omitempty"`
	// Tasks are what such a model may know of the placement.
	Tasks []Task `json:"tasks"`
}

// newRow is a placement's without predictions.
func newRow(p *Placement, m *measurement) *Row {
	row := &Row{
		ID: p.ID, Model: p.Model, Name: p.name(), Mode: p.Mode, CPUs: p.CPUs, Wraps: len(p.Plan.Wraps),
		SwitchInterval: p.Plan.Wraps[0].Processes[0].SwitchInterval, Others: m.Others,
	}
	for _, w := range p.Plan.Wraps {
		row.Processes += len(w.Processes)
	}
	all := m.Latencies
	stat := profile.NewStat(all)
	row.Requests, row.Measured = len(all), stat.Mean
	row.StdDev, row.P50, row.P99 = stat.StdDev, stat.P50, stat.P99
	row.P90 = quantile.Nearest(slices.Sorted(slices.Values(all)), 90)
	return row
}

// Error of the prediction, as a part of the measurement; positive where it is
// too long.
func (r Row) Error() float64 { return off(r.Predicted, r.Measured) }

func off(predicted, measured time.Duration) float64 {
	return float64(predicted-measured) / float64(max(measured, 1))
}

// Summary sums up predictions.
type Summary struct {
	Placements int     `json:"placements"`
	Mean       float64 `json:"mean_absolute_error"`
	Median     float64 `json:"median_absolute_error"`
	// Bias is the mean of the signed errors.
	Bias float64 `json:"bias"`
	P95  float64 `json:"p95_absolute_error"`
	// Worst error, signed, and its placement.
	Worst          float64 `json:"worst_error"`
	WorstPlacement string  `json:"worst_placement"`
}

// predictor names a model and tells its prediction of a row; 0: it has none.
type predictor struct {
	name    string
	latency func(Row) time.Duration
}

// paperModel is the paper's own.
const paperModel = "the paper's model"

// own is this program's.
func own() predictor {
	return predictor{"chiron", func(r Row) time.Duration { return r.Predicted }}
}

// yardsticks are what it is held against: those that have a prediction.
func yardsticks(rows []Row) []predictor {
	all := []predictor{
		{paperModel, func(r Row) time.Duration { return r.Paper }},
		{"longest of each stage", func(r Row) time.Duration { return r.Longest }},
		{"sum of all functions", func(r Row) time.Duration { return r.Sum }},
	}
	names := make(map[string]bool)
	for _, r := range rows {
		for name := range r.Learned {
			names[name] = true
		}
	}
	for _, name := range sortedKeys(names) {
		all = append(all, predictor{name, func(r Row) time.Duration { return r.Learned[name] }})
	}
	return slices.DeleteFunc(all, func(p predictor) bool {
		return !slices.ContainsFunc(rows, func(r Row) bool { return p.latency(r) > 0 })
	})
}

// summarise sums up a model's predictions of those rows that it has one of.
func summarise(rows []Row, p predictor) Summary {
	var s Summary
	var absolute []float64
	for _, r := range rows {
		predicted := p.latency(r)
		if predicted <= 0 {
			continue
		}
		e := off(predicted, r.Measured)
		absolute = append(absolute, math.Abs(e))
		s.Bias += e
		s.Mean += math.Abs(e)
		if math.Abs(e) > math.Abs(s.Worst) || s.WorstPlacement == "" {
			s.Worst, s.WorstPlacement = e, r.Name
		}
	}
	n := len(absolute)
	if n == 0 {
		return s
	}
	s.Placements, s.Bias, s.Mean = n, s.Bias/float64(n), s.Mean/float64(n)
	slices.Sort(absolute)
	s.Median, s.P95 = quantile.Median(absolute), quantile.Nearest(absolute, 95)
	return s
}

// Summary of a workflow's predictions.
func (w *Workflow) Summary() Summary { return summarise(w.Rows, own()) }

// Summary of all workflows' predictions, each placement counted once. What is
// measured for the switch interval alone is not in it.
func (r *Report) Summary() Summary { return summarise(r.rows(), own()) }

// rows of all workflows but those for the switch interval.
func (r *Report) rows() []Row {
	var all []Row
	for i := range r.Workflows {
		if !r.Workflows[i].switching() {
			all = append(all, r.Workflows[i].Rows...)
		}
	}
	return all
}

// switching says whether the workflow's placements differ in their switch
// interval.
func (w *Workflow) switching() bool {
	return slices.ContainsFunc(w.Rows, func(r Row) bool { return r.SwitchInterval != 0 })
}

// group is a part of the rows.
type group struct {
	name string
	rows []Row
}

// groups cuts rows by a property, sorted by its value.
func groups(rows []Row, of func(Row) string) []group {
	var all []group
	for _, r := range rows {
		name := of(r)
		i, found := slices.BinarySearchFunc(all, name, func(g group, name string) int { return compareNumbers(g.name, name) })
		if !found {
			all = slices.Insert(all, i, group{name: name})
		}
		all[i].rows = append(all[i].rows, r)
	}
	return all
}

// cuts are the properties that the report tells apart.
func cuts() []struct {
	title string
	of    func(Row) string
} {
	return []struct {
		title string
		of    func(Row) string
	}{
		{"mode", func(r Row) string {
			if r.Mode == "" {
				return "models"
			}
			return r.Mode
		}},
		{"CPUs", func(r Row) string { return strconv.Itoa(r.CPUs) }},
		{"wraps", func(r Row) string { return strconv.Itoa(r.Wraps) }},
		{"processes", func(r Row) string { return strconv.Itoa(r.Processes) }},
		{"both", func(r Row) string {
			if r.Mode == "" {
				return fmt.Sprintf("models, %d", r.CPUs)
			}
			return fmt.Sprintf("%s, %d", r.Mode, r.CPUs)
		}},
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
