package systems

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/bench/lines"
)

// WriteText writes the report as text; its tables have at most 100 columns.
func (r *Report) WriteText(out io.Writer) error {
	p := &lines.Printer{Out: out}
	p.Printf("%s, %d CPUs, Linux %s; %s\n", r.Machine.CPUModel, r.Machine.CPUs, r.Machine.Kernel, r.Begin.Format("2006-01-02"))
	for i := range r.Workflows {
		p.Printf("\n")
		r.Workflows[i].print(p)
	}
	if len(r.Targets) > 0 {
		p.Printf("\nTARGETS (latency: medians; memory: PSS under requests; SLO: Faastlane's mean + %v)\n", Slack)
		met := 0
		for i := range r.Targets {
			t := &r.Targets[i]
			p.Printf("  %-8s %s\n", t.Workflow, t)
			if t.Met() {
				met++
			} else if t.Why != "" {
				p.Printf("           %s\n", t.Why)
			}
		}
		p.Printf("  %d of %d met\n", met, len(r.Targets))
		for i := range r.Workflows {
			r.Workflows[i].printTimeline(p, r.Targets)
		}
	}
	for _, n := range r.Notes {
		p.Printf("note: %s\n", n)
	}
	return p.Err
}

func (w *Workflow) print(p *lines.Printer) {
	p.Printf("%s: %d functions in %d stages, %d beside each other; SLO %.1f ms, plans searched for %.1f ms\n",
		strings.ToUpper(w.Name), w.Tasks, w.Stages, w.Parallel, ms(w.SLO), ms(w.Searched))
	chiron := w.chiron()
	p.Printf("  %-11s %5s %9s %9s %8s %7s %7s %7s %7s %7s\n", "MEASURED", "CPUs", "median ms", "p99 ms", "×chiron", "SLO %", "path ms", "start", "run", "end")
	for i := range w.Rows {
		row := &w.Rows[i]
		if row.Failure != "" {
			p.Printf("  %-11s %s\n", row.System, row.Failure)
			continue
		}
		p.Printf("  %-11s %5d %9.2f %9.2f %8s %7.1f %7.2f %7s %7s %7s\n", row.System, row.CPUs, ms(row.Median), ms(row.P99),
			times(float64(row.Median), chiron, func(c *Row) float64 { return float64(c.Median) }),
			100*row.Violations, ms(row.Path), parallel(row, row.Start), parallel(row, row.Run), parallel(row, row.Ended))
	}
	p.Printf("  %-11s %5s %5s %7s %7s %7s %7s %7s %7s %8s %s\n", "RESOURCES", "wraps", "procs", "MB", "×chiron", "req/s", "/CPU", "/here", "CPU ms", "$/10⁶", "modes")
	for i := range w.Rows {
		row := &w.Rows[i]
		if row.Failure != "" {
			continue
		}
		p.Printf("  %-11s %5d %5d %7.1f %7s %7.1f %7.1f %7.1f %7.2f %8.2f %s\n", row.System, row.Wraps, row.Processes, mb(row.Busy),
			times(float64(row.Busy), chiron, func(c *Row) float64 { return float64(c.Busy) }),
			row.Rate, row.PerCPU, row.PerHad, ms(row.CPU), row.Money, row.Modes)
	}
	for _, e := range w.Excluded {
		p.Printf("  %-11s not run: %s\n", e.System, e.Why)
	}
	if m := w.Modelled; m != nil {
		p.Printf("  %-11s AWS Step Functions: %.0f ms, %.0f ms of it scheduling; %d transitions, $%.2f a million\n", "modelled", ms(m.Latency), ms(m.Scheduling), m.Transitions, m.Money)
	}
	if len(w.Simulated) > 0 {
		p.Printf("  %-11s %5s %9s %9s %9s %9s   %s\n", "SIMULATED", "CPUs", "mean ms", "p99 ms", "memory MB", "req/s", fmt.Sprintf("on %d CPUs; here predicted, measured", nodeCPUs))
		for _, s := range w.Simulated {
			p.Printf("  %-11s %5d %9.2f %9.2f %9.1f %9.1f   %.2f ms, %.2f ms\n", s.System, s.CPUs, ms(s.Mean), ms(s.P99), mb(s.Memory), s.Rate, ms(s.Here), ms(s.Measured))
		}
	}
}

// timelineWidth is of the bars of a printed timeline, maxPrinted of its tasks.
const (
	timelineWidth = 64
	maxPrinted    = 24
)

// printTimeline shows where the time goes in the median traced request of Chiron,
// where a target of the workflow's latency is missed.
func (w *Workflow) printTimeline(p *lines.Printer, targets []Target) {
	chiron := w.chiron()
	missed := slices.ContainsFunc(targets, func(t Target) bool { return t.Workflow == w.Name && t.timed && !t.Met() })
	if !missed || chiron == nil || chiron.median == nil {
		return
	}
	t := chiron.median
	p.Printf("\n%s under chiron, a traced request of %.1f ms: when its functions ran\n", w.Name, float64(t.Latency)/1e3)
	places := chiron.plan.Places()
	column := func(us int64) int { return min(int(us*timelineWidth/max(t.Latency, 1)), timelineWidth) }
	for i, task := range w.definition.Tasks() {
		if i == maxPrinted {
			p.Printf("  and %d more\n", w.Tasks-maxPrinted)
			return
		}
		s, at := t.Spans[i], places[task.Name]
		from := column(s[1])
		bar := strings.Repeat(" ", from) + strings.Repeat("█", max(column(s[2])-from, 1))
		p.Printf("  %-17s %d.%-2d %-*s %5.1f ms\n", shorten(task.Name, 17), at.Wrap+1, at.Process+1, timelineWidth+1, bar, float64(s[2]-s[1])/1e3)
	}
}

// times is how many times Chiron's something is.
func times(value float64, chiron *Row, of func(*Row) float64) string {
	if chiron == nil || of(chiron) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", value/of(chiron))
}

// parallel is a figure of parallel functions; a dash where there are none.
func parallel(row *Row, d time.Duration) string {
	if len(row.phases) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", ms(d))
}

// WriteCSV writes a line for each workflow and system. What is not measured says so
// in the column kind.
func (r *Report) WriteCSV(out io.Writer) error {
	c := csv.NewWriter(out)
	rows := [][]string{{
		"workflow", "kind", "system", "wraps", "processes", "modes", "cpus", "requests", "mean_ms", "median_ms", "p99_ms", "slo_ms", "slo_violations",
		"path_ms", "start_ms", "run_ms", "end_ms", "rest_mb", "busy_mb", "live_processes", "requests_per_second", "requests_per_second_per_cpu",
		"requests_per_second_per_cpu_here", "cpu_ms", "usd_per_million", "failure",
	}}
	f := func(x float64) string { return strconv.FormatFloat(x, 'f', 3, 64) }
	for i := range r.Workflows {
		w := &r.Workflows[i]
		for k := range w.Rows {
			row := &w.Rows[k]
			rows = append(rows, []string{
				w.Name, "measured", row.System, strconv.Itoa(row.Wraps), strconv.Itoa(row.Processes), row.Modes, strconv.Itoa(row.CPUs), strconv.Itoa(row.Requests),
				f(ms(row.Mean)), f(ms(row.Median)), f(ms(row.P99)), f(ms(w.SLO)), f(row.Violations),
				f(ms(row.Path)), f(ms(row.Start)), f(ms(row.Run)), f(ms(row.Ended)), f(mb(row.Rest)), f(mb(row.Busy)), strconv.Itoa(row.Live),
				f(row.Rate), f(row.PerCPU), f(row.PerHad), f(ms(row.CPU)), f(row.Money), row.Failure,
			})
		}
		blank := func(n int) []string { return make([]string, n) }
		if m := w.Modelled; m != nil {
			row := append([]string{w.Name, "modelled", "step-functions", "", "", "", strconv.Itoa(m.CPUs), "", f(ms(m.Latency))}, blank(15)...)
			rows = append(rows, append(row, f(m.Money), ""))
		}
		for _, s := range w.Simulated {
			row := append([]string{w.Name, "simulated", s.System, "", "", "", strconv.Itoa(s.CPUs), "", f(ms(s.Mean)), "", f(ms(s.P99))}, blank(7)...)
			row = append(row, f(mb(s.Memory)), "", f(s.Rate), f(s.Rate/nodeCPUs))
			rows = append(rows, append(row, blank(4)...))
		}
	}
	if err := c.WriteAll(rows); err != nil {
		return fmt.Errorf("systems: %w", err)
	}
	return nil
}
