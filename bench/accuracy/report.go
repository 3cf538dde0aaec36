package accuracy

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
)

// Report is the experiment's result.
type Report struct {
	Machine     profile.Machine      `json:"machine"`
	Created     time.Time            `json:"created"`
	Calibration *predict.Calibration `json:"calibration"`
	Workflows   []Workflow           `json:"workflows"`
	// Notes are what a reader must know, one line each.
	Notes []string `json:"notes,omitempty"`
}

// Workflow is what was found of one.
type Workflow struct {
	Name string `json:"name"`
	Rows []Row  `json:"rows"`
	// Drift is by which part the functions together had become slower, alone, at
	// the experiment's end. Errors of that size are not the model's.
	Drift float64 `json:"drift"`
	// Others is the part of the machine's CPUs that other programs used while the
	// placements were measured. What they take is missing to those placements
	// that use many CPUs, and no prediction knows of it.
	Others float64 `json:"others"`
	// Notes name the models that cannot run the workflow, and why.
	Notes []string `json:"notes,omitempty"`
}

// Row is one placement, predicted and measured. Durations are nanoseconds in
// JSON.
type Row struct {
	// Model that made the plan, or all that made the same one.
	Model     string `json:"model"`
	Wraps     int    `json:"wraps"`
	Processes int    `json:"processes"`
	CPUs      int    `json:"cpus"`
	Requests  int    `json:"requests"`

	Predicted time.Duration `json:"predicted_ns"`
	// Measured is the mean of the middle half of the rounds.
	Measured time.Duration `json:"measured_ns"`
	P50      time.Duration `json:"p50_ns"`
	P99      time.Duration `json:"p99_ns"`
	// Longest adds up every stage's longest function, Sum all functions: the
	// yardsticks.
	Longest time.Duration `json:"longest_ns"`
	Sum     time.Duration `json:"sum_ns"`
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
	Worst      float64 `json:"worst_error"`
	WorstModel string  `json:"worst_model"`
}

// Summary of a workflow's predictions.
func (w *Workflow) Summary() Summary {
	return w.summary(func(r Row) time.Duration { return r.Predicted })
}

// Yardsticks sums up what the yardsticks predicted.
func (w *Workflow) Yardsticks() (longest, sum Summary) {
	return w.summary(func(r Row) time.Duration { return r.Longest }), w.summary(func(r Row) time.Duration { return r.Sum })
}

func (w *Workflow) summary(predicted func(Row) time.Duration) Summary {
	s := Summary{Placements: len(w.Rows)}
	if len(w.Rows) == 0 {
		return s
	}
	absolute := make([]float64, len(w.Rows))
	for i, r := range w.Rows {
		e := off(predicted(r), r.Measured)
		absolute[i] = math.Abs(e)
		s.Bias += e / float64(len(w.Rows))
		s.Mean += absolute[i] / float64(len(w.Rows))
		if absolute[i] > math.Abs(s.Worst) || s.WorstModel == "" {
			s.Worst, s.WorstModel = e, r.Model
		}
	}
	slices.Sort(absolute)
	s.Median = (absolute[(len(absolute)-1)/2] + absolute[len(absolute)/2]) / 2
	s.P95 = absolute[(95*len(absolute)+99)/100-1] // nearest rank
	return s
}

// WriteTable writes the report as text of at most 100 columns.
func (r *Report) WriteTable(out io.Writer) error {
	var failed error
	print := func(format string, args ...any) {
		if _, err := fmt.Fprintf(out, format, args...); err != nil && failed == nil {
			failed = err
		}
	}
	for i := range r.Workflows {
		w := &r.Workflows[i]
		if i > 0 {
			print("\n")
		}
		print("%s\n", w.Name)
		print("  %-38s %5s %5s %4s  %10s %10s %8s\n", "model", "wraps", "proc.", "CPUs", "predicted", "measured", "error")
		rows := slices.SortedStableFunc(slices.Values(w.Rows), func(a, b Row) int { return cmp.Compare(a.Measured, b.Measured) })
		for _, row := range rows {
			print("  %-38.38s %5d %5d %4d  %7.2f ms %7.2f ms %+6.1f %%\n",
				row.Model, row.Wraps, row.Processes, row.CPUs, ms(row.Predicted), ms(row.Measured), 100*row.Error())
		}
		s := w.Summary()
		longest, sum := w.Yardsticks()
		print("  mean error %.1f %%, median %.1f %%, bias %+.1f %%, worst %+.1f %% (%s)\n", 100*s.Mean, 100*s.Median, 100*s.Bias, 100*s.Worst, s.WorstModel)
		print("  yardsticks' mean error: longest of each stage %.1f %%, sum of all %.1f %%\n", 100*longest.Mean, 100*sum.Mean)
		print("  functions alone: %+.1f %% from beginning to end; other programs used %.0f %% of the CPUs\n", 100*w.Drift, 100*w.Others)
		for _, n := range w.Notes {
			print("  not measured: %s\n", n)
		}
	}
	for _, n := range r.Notes {
		print("note: %s\n", n)
	}
	return failed
}

// WriteCSV writes a line for each placement; times in milliseconds.
func (r *Report) WriteCSV(out io.Writer) error {
	w := csv.NewWriter(out)
	if err := w.Write([]string{"workflow", "model", "wraps", "processes", "cpus", "requests", "predicted_ms", "measured_ms", "p50_ms", "p99_ms", "longest_ms", "sum_ms", "error"}); err != nil {
		return err
	}
	for i := range r.Workflows {
		for _, row := range r.Workflows[i].Rows {
			record := []string{r.Workflows[i].Name, row.Model, strconv.Itoa(row.Wraps), strconv.Itoa(row.Processes), strconv.Itoa(row.CPUs), strconv.Itoa(row.Requests)}
			for _, d := range []time.Duration{row.Predicted, row.Measured, row.P50, row.P99, row.Longest, row.Sum} {
				record = append(record, strconv.FormatFloat(ms(d), 'f', 3, 64))
			}
			if err := w.Write(append(record, strconv.FormatFloat(row.Error(), 'f', 4, 64))); err != nil {
				return err
			}
		}
	}
	w.Flush()
	return w.Error()
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
