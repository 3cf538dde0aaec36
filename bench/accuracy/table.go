package accuracy

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/chiron-faas/chiron/bench/lines"
)

// printer writes a report.
type printer struct{ lines.Printer }

func newPrinter(out io.Writer) *printer { return &printer{lines.Printer{Out: out}} }

// worstListed of the placements without a model are in the text; of the others only sums are.
const worstListed = 5

// WriteTable writes the report as text of at most 100 columns.
func (r *Report) WriteTable(out io.Writer) error {
	p := newPrinter(out)
	for i := range r.Workflows {
		w := &r.Workflows[i]
		if i > 0 {
			p.Printf("\n")
		}
		w.print(p)
	}
	if rows := r.rows(); len(rows) > 0 {
		p.Printf("\nall workflows\n")
		printSummaries(p, rows)
		r.printTails(p)
		p.Printf("\n")
		for _, t := range r.targets() {
			p.Printf("  target: %s: %s\n", t.what, t)
		}
	}
	for _, n := range r.Notes {
		p.Printf("note: %s\n", n)
	}
	return p.Err
}

func (w *Workflow) print(p *printer) {
	p.Printf("%s\n", w.Name)
	rows := slices.SortedStableFunc(slices.Values(w.Rows), func(a, b Row) int { return cmp.Compare(a.Measured, b.Measured) })
	var models, others []Row
	for _, row := range rows {
		if row.Model != "" {
			models = append(models, row)
		} else {
			others = append(others, row)
		}
	}
	if len(models) > 0 {
		printRows(p, "model", models, func(r Row) string { return r.Model })
	}
	if len(others) > 0 {
		slices.SortStableFunc(others, func(a, b Row) int { return cmp.Compare(max(b.Error(), -b.Error()), max(a.Error(), -a.Error())) })
		printRows(p, fmt.Sprintf("worst of %d others", len(others)), others[:min(worstListed, len(others))], func(r Row) string { return r.Name })
	}
	if len(rows) > 0 {
		printSummaries(p, rows)
		p.Printf("  functions alone: %+.1f %% from beginning to end; other programs used %.0f %% of the CPUs\n", 100*w.Drift, 100*w.Others)
	}
	if w.Pending > 0 {
		p.Printf("  %d placements are not measured yet\n", w.Pending)
	}
	for _, n := range w.Notes {
		p.Printf("  note: %s\n", n)
	}
}

func printRows(p *printer, title string, rows []Row, name func(Row) string) {
	p.Printf("  %-38s %5s %5s %4s  %10s %10s %8s\n", title, "wraps", "proc.", "CPUs", "predicted", "measured", "error")
	for _, row := range rows {
		p.Printf("  %-38.38s %5d %5d %4d  %7.2f ms %7.2f ms %+6.1f %%\n",
			name(row), row.Wraps, row.Processes, row.CPUs, ms(row.Predicted), ms(row.Measured), 100*row.Error())
	}
}

func printSummaries(p *printer, rows []Row) {
	p.Printf("  %-24s %10s %7s %8s %7s %7s %8s\n", "error in %", "placements", "mean", "median", "bias", "p95", "worst")
	line := func(name string, s Summary) {
		p.Printf("  %-24.24s %10d %7.1f %8.1f %+7.1f %7.1f %+8.1f\n", name, s.Placements, 100*s.Mean, 100*s.Median, 100*s.Bias, 100*s.P95, 100*s.Worst)
	}
	line("chiron", summarise(rows, own()))
	for _, cut := range cuts() {
		all := groups(rows, cut.of)
		if len(all) < 2 {
			continue
		}
		for _, g := range all {
			line("  "+cut.title+": "+g.name, summarise(g.rows, own()))
		}
	}
	for _, y := range yardsticks(rows) {
		line(y.name, summarise(rows, y))
	}
}

func (r *Report) printTails(p *printer) {
	p.Printf("\n  %-24s %10s %8s %8s %8s %10s\n", "requests within, in %", "requests", "p50", "p90", "p99", "p99 error")
	names, all := r.tails()
	for i, t := range all {
		p.Printf("  %-24.24s %10d %8.1f %8.1f %8.1f %+10.1f\n", names[i], t.requests, 100*t.p50, 100*t.p90, 100*t.p99, 100*t.error)
	}
}

// WriteCSV writes a line for each placement; times in milliseconds.
func (r *Report) WriteCSV(out io.Writer) error {
	w := csv.NewWriter(out)
	names := make(map[string]bool)
	for _, row := range r.rows() {
		for name := range row.Learned {
			names[name] = true
		}
	}
	learned := sortedKeys(names)
	header := []string{
		"workflow", "id", "model", "placement", "mode", "cpus", "wraps", "processes", "switch_interval_ms", "requests",
		"predicted_ms", "predicted_p50_ms", "predicted_p90_ms", "predicted_p99_ms", "measured_ms", "stddev_ms", "p50_ms", "p90_ms", "p99_ms", "longest_ms", "sum_ms", "paper_ms",
	}
	for _, name := range learned {
		header = append(header, name+"_ms")
	}
	if err := w.Write(append(header, "others", "error")); err != nil {
		return err
	}
	number := func(v float64, digits int) string { return strconv.FormatFloat(v, 'f', digits, 64) }
	for i := range r.Workflows {
		for _, row := range r.Workflows[i].Rows {
			record := []string{
				r.Workflows[i].Name, row.ID, row.Model, row.Name, row.Mode, strconv.Itoa(row.CPUs), strconv.Itoa(row.Wraps),
				strconv.Itoa(row.Processes), number(ms(row.SwitchInterval), 3), strconv.Itoa(row.Requests),
			}
			for _, d := range []time.Duration{row.Predicted, row.PredictedP50, row.PredictedP90, row.PredictedP99, row.Measured, row.StdDev, row.P50, row.P90, row.P99, row.Longest, row.Sum, row.Paper} {
				record = append(record, number(ms(d), 3))
			}
			for _, name := range learned {
				record = append(record, number(ms(row.Learned[name]), 3))
			}
			if err := w.Write(append(record, number(row.Others, 3), number(row.Error(), 4))); err != nil {
				return err
			}
		}
	}
	w.Flush()
	return w.Error()
}

func sortedKeys(m map[string]bool) []string { return slices.Sorted(maps.Keys(m)) }

// compareNumbers sorts numbers by value and other text by its letters.
func compareNumbers(a, b string) int {
	x, err1 := strconv.Atoi(a)
	y, err2 := strconv.Atoi(b)
	if err1 == nil && err2 == nil {
		return cmp.Compare(x, y)
	}
	return cmp.Compare(a, b)
}
