package systems

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/chiron-faas/chiron/internal/svg"
	"github.com/chiron-faas/chiron/plan/model"
	"github.com/chiron-faas/chiron/plan/pgp"
)

// Figure is a picture of the report.
type Figure struct {
	// File name without its ending, and what it shows. Paper names the figures of
	// the paper that show the same of its systems.
	File, Title, Paper string
	picture            *svg.Picture
}

// SVG is the picture as a file.
func (f *Figure) SVG() ([]byte, error) {
	var b bytes.Buffer
	err := f.picture.Encode(&b)
	return b.Bytes(), err
}

// Figures draws what there is to draw.
func (r *Report) Figures() []Figure {
	var all []Figure
	add := func(file, title, paper string, p *svg.Picture) {
		all = append(all, Figure{File: file, Title: title, Paper: paper, picture: p})
	}
	by := func(file, title, paper, unit string, of func(*Row) float64) {
		add(file, title, paper, r.bars(title, unit, of))
	}
	by("latency", "Latency of a request, median", "6, 13", "ms", func(row *Row) float64 { return ms(row.Median) })
	by("slo", "Requests that break the SLO (Faastlane's mean + 10 ms)", "14", "%", func(row *Row) float64 { return 100 * row.Violations })
	by("memory", "Memory of all wraps under requests (PSS)", "8, 16", "MB", func(row *Row) float64 { return mb(row.Busy) })
	by("throughput", "Throughput at saturation, by allocated CPU", "16", "requests/s", func(row *Row) float64 { return row.PerCPU })
	by("throughput-here", "Throughput at saturation, by CPU that is here", "16", "requests/s", func(row *Row) float64 { return row.PerHad })
	by("cpus", "CPUs allocated", "8, 17", "CPUs", func(row *Row) float64 { return float64(row.CPUs) })
	by("cost", "Money for a million requests, by prices of "+r.Prices.Name, "19", "USD", func(row *Row) float64 { return row.Money })
	by("path", "Our own path: the time in which no function ran, median", "", "ms", func(row *Row) float64 { return ms(row.Path) })
	if p := r.overhead(); p != nil {
		add("overhead", "Scheduling overhead in FINRA", "3", p)
	}
	for i := range r.Workflows {
		w := &r.Workflows[i]
		if p := w.cdf(); p != nil {
			add("cdf-"+w.Name, "Parallel functions of "+w.Name+": when they start, how long they run, when they end", "15", p)
		}
		if p := w.latencies(); p != nil {
			add("distribution-"+w.Name, "Latency of requests of "+w.Name, "7", p)
		}
		if p := w.timelines(); p != nil {
			add("timeline-"+w.Name, "A request of "+w.Name+", the median of those that were traced", "5", p)
		}
	}
	if p := r.simulatedBars(); p != nil {
		add("simulated", fmt.Sprintf("Simulated: latency on %d CPUs, mean", nodeCPUs), "13", p)
	}
	return all
}

// bars of a figure, by workflow and system.
func (r *Report) bars(title, unit string, of func(*Row) float64) *svg.Picture {
	var groups []string
	var all []series
	for _, name := range r.Systems {
		all = append(all, series{name: name})
	}
	for i := range r.Workflows {
		w := &r.Workflows[i]
		groups = append(groups, w.Name)
		for k := range all {
			value := 0.0
			if row := w.row(all[k].name); row != nil {
				value = of(row)
			}
			all[k].values = append(all[k].values, value)
		}
	}
	return bars(title, unit, groups, all)
}

func (r *Report) simulatedBars() *svg.Picture {
	var groups []string
	var all []series
	for _, name := range r.Systems {
		all = append(all, series{name: name})
	}
	for _, w := range r.Workflows {
		if len(w.Simulated) == 0 {
			continue
		}
		groups = append(groups, w.Name)
		for k := range all {
			value := 0.0
			for _, s := range w.Simulated {
				if s.System == all[k].name {
					value = ms(s.Mean)
				}
			}
			all[k].values = append(all[k].values, value)
		}
	}
	if groups == nil {
		return nil
	}
	return bars(fmt.Sprintf("Simulated: latency on %d CPUs, mean", nodeCPUs), "ms", groups, all)
}

// overhead is the time in which no function runs, of FINRA with more and more
// functions: what one-to-one was measured to take, and Step Functions by its model.
func (r *Report) overhead() *svg.Picture {
	var groups []string
	all := []series{{name: "one-to-one, measured"}, {name: "Faastlane, measured"}, {name: "Chiron, measured"}, {name: "Step Functions, modelled"}}
	for i := range r.Workflows {
		w := &r.Workflows[i]
		if !strings.HasPrefix(w.Name, "finra") || w.Modelled == nil {
			continue
		}
		groups = append(groups, w.Name)
		for k, system := range []string{string(model.OneToOne), yardstick, pgp.Name} {
			value := 0.0
			if row := w.row(system); row != nil {
				value = ms(row.Path)
			}
			all[k].values = append(all[k].values, value)
		}
		all[3].values = append(all[3].values, ms(w.Modelled.Scheduling))
	}
	if groups == nil {
		return nil
	}
	return bars("Scheduling overhead in FINRA: the time in which no function runs", "ms", groups, all)
}

// cdf of the parallel functions.
func (w *Workflow) cdf() *svg.Picture {
	panels := []string{"start", "run", "end"}
	all := make([][]curve, len(panels))
	for i := range w.Rows {
		row := &w.Rows[i]
		if len(row.phases) == 0 {
			continue
		}
		curves := []curve{{name: row.System}, {name: row.System}, {name: row.System}}
		for _, p := range row.phases {
			curves[0].values = append(curves[0].values, ms(p.start))
			curves[1].values = append(curves[1].values, ms(p.run))
			curves[2].values = append(curves[2].values, ms(p.end))
		}
		for k := range panels {
			all[k] = append(all[k], curves[k])
		}
	}
	if all[0] == nil {
		return nil
	}
	return distributions("Parallel functions of "+w.Name+", from their stage's begin", panels, "ms", all)
}

// latencies of all requests.
func (w *Workflow) latencies() *svg.Picture {
	var curves []curve
	for i := range w.Rows {
		row := &w.Rows[i]
		if row.Requests == 0 {
			continue
		}
		c := curve{name: row.System}
		for _, l := range row.latencies {
			c.values = append(c.values, ms(l))
		}
		curves = append(curves, c)
	}
	if curves == nil {
		return nil
	}
	return distributions("Latency of requests of "+w.Name, []string{"latency"}, "ms", [][]curve{curves})
}

// timelineOf are the systems whose timelines are drawn.
func timelineOf() []string {
	return []string{string(model.OneToOne), yardstick, string(model.FaastlaneT), pgp.Name, pgp.NameShared}
}

// timelines are the median traced requests of some systems, each task's handler
// coloured by the process that it is in.
func (w *Workflow) timelines() *svg.Picture {
	var all []timeline
	for i := range w.Rows {
		row := &w.Rows[i]
		if row.median == nil || !slices.Contains(timelineOf(), row.System) {
			continue
		}
		t := timeline{long: float64(row.median.Latency) / 1e3}
		t.title = fmt.Sprintf("%s: %.1f ms, of which no function ran in %.2f ms", row.System, t.long, ms(row.median.path()))
		places := row.plan.Places()
		processes := make(map[[2]int]int)
		for k, task := range w.definition.Tasks() {
			at := places[task.Name]
			key := [2]int{at.Wrap, at.Process}
			if _, ok := processes[key]; !ok {
				processes[key] = len(processes)
			}
			s := row.median.Spans[k]
			t.tasks = append(t.tasks, strip{name: task.Name, begin: float64(s[1]) / 1e3, end: float64(s[2]) / 1e3, kind: processes[key]})
		}
		all = append(all, t)
	}
	if all == nil {
		return nil
	}
	return timelines("A request of "+w.Name+", the median of those traced: when handlers ran, by process", all)
}
