package accuracy

import (
	"cmp"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

// worstInMarkdown placements of each workflow are named.
const worstInMarkdown = 3

// WriteMarkdown writes the tables of docs/accuracy.md.
func (r *Report) WriteMarkdown(out io.Writer) error {
	p := newPrinter(out)
	m := r.Machine
	p.Printf("Measured on %s, %d CPUs, %s %s (%s), seed %d, %d placements drawn of each workflow.\n", m.CPUModel, m.CPUs, m.OS, m.Kernel, m.Arch, r.Seed, r.Sample)
	rows := r.rows()
	if len(rows) > 0 {
		p.Printf("\n### Targets\n\n")
		for _, t := range r.targets() {
			p.Printf("- %s: %s\n", t.what, t)
		}
		p.Printf("\n### By workflow\n\nErrors of the predicted latency, in %% of the measured one.\n\n")
		p.heading("workflow")
		for i := range r.Workflows {
			if w := &r.Workflows[i]; len(w.Rows) > 0 && !w.switching() {
				p.row(w.Name, summarise(w.Rows, own()))
			}
		}
		p.row("**all**", summarise(rows, own()))
		for _, cut := range cuts() {
			all := groups(rows, cut.of)
			if len(all) < 2 {
				continue
			}
			p.Printf("\n### By %s\n\n", cut.title)
			p.heading(cut.title)
			for _, g := range all {
				p.row(g.name, summarise(g.rows, own()))
			}
		}
		r.markdownTails(p)
		r.markdownYardsticks(p)
		r.markdownWorst(p)
	}
	r.markdownSwitch(p)
	p.Printf("\n### The machine meanwhile\n\n| workflow | placements | not measured yet | functions alone, from beginning to end | other programs, of all CPUs | half the difference between a placement's first and last requests |\n" +
		"| --- | ---: | ---: | ---: | ---: | ---: |\n")
	for i := range r.Workflows {
		w := &r.Workflows[i]
		p.Printf("| %s | %d | %d | %+.1f %% | %.1f %% | %.1f %% |\n", w.Name, len(w.Rows), w.Pending, 100*w.Drift, 100*w.Others, 100*w.noise())
	}
	for _, n := range r.Notes {
		p.Printf("\nNote: %s\n", n)
	}
	return p.Err
}

func (p *printer) heading(what string) {
	p.Printf("| %s | placements | mean | median | bias | p95 | worst |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n", what)
}

func (p *printer) row(name string, s Summary) {
	p.Printf("| %s | %d | %.1f | %.1f | %+.1f | %.1f | %+.1f |\n", name, s.Placements, 100*s.Mean, 100*s.Median, 100*s.Bias, 100*s.P95, 100*s.Worst)
}

// markdownTails says how well percentiles are predicted.
func (r *Report) markdownTails(p *printer) {
	p.Printf("\n### Percentiles\n\nRequests that took at most the predicted p50, p90 and p99, in %%, and the error of the predicted p99.\n\n" +
		"| workflow | requests | ≤ p50 | ≤ p90 | ≤ p99 | p99 error |\n| --- | ---: | ---: | ---: | ---: | ---: |\n")
	names, all := r.tails()
	for i, t := range all {
		p.Printf("| %s | %d | %.0f | %.0f | %.1f | %+.1f |\n", names[i], t.requests, 100*t.p50, 100*t.p90, 100*t.p99, 100*t.error)
	}
}

func (r *Report) markdownYardsticks(p *printer) {
	rows := r.rows()
	all := append([]predictor{own()}, yardsticks(rows)...)
	p.Printf("\n### Beside other models\n\nMean absolute error in %%, by workflow; of the learned models, and of chiron in the last line, over the placements that they were not trained with.\n\n| model |")
	var measured []*Workflow
	for i := range r.Workflows {
		if w := &r.Workflows[i]; len(w.Rows) > 0 && !w.switching() {
			measured = append(measured, w)
			p.Printf(" %s |", w.Name)
		}
	}
	p.Printf(" all |\n| --- |%s\n", strings.Repeat(" ---: |", len(measured)+1))
	line := func(name string, y predictor) {
		p.Printf("| %s |", name)
		for _, w := range measured {
			p.error(summarise(w.Rows, y))
		}
		p.error(summarise(rows, y))
		p.Printf("\n")
	}
	for _, y := range all {
		line(y.name, y)
	}
	if slices.ContainsFunc(rows, func(r Row) bool { return len(r.Learned) > 0 }) {
		line("chiron, on those placements", predictor{latency: func(r Row) time.Duration {
			if len(r.Learned) == 0 {
				return 0
			}
			return r.Predicted
		}})
	}
}

func (p *printer) error(s Summary) {
	if s.Placements == 0 {
		p.Printf(" – |")
		return
	}
	p.Printf(" %.1f |", 100*s.Mean)
}

func (r *Report) markdownWorst(p *printer) {
	p.Printf("\n### The worst predictions\n\n| workflow | CPUs | placement | predicted | measured | error |\n| --- | ---: | --- | ---: | ---: | ---: |\n")
	for _, w := range r.Workflows {
		if w.switching() {
			continue
		}
		rows := slices.SortedStableFunc(slices.Values(w.Rows), func(a, b Row) int {
			return cmp.Compare(math.Abs(b.Error()), math.Abs(a.Error()))
		})
		for _, row := range rows[:min(worstInMarkdown, len(rows))] {
			p.Printf("| %s | %d | %s | %.2f ms | %.2f ms | %+.1f %% |\n", w.Name, row.CPUs, strings.ReplaceAll(row.Name, "|", "\\|"), ms(row.Predicted), ms(row.Measured), 100*row.Error())
		}
	}
}

// markdownSwitch compares the intervals: what each gains over the interpreter's
// own, predicted and measured.
func (r *Report) markdownSwitch(p *printer) {
	title := false
	for i := range r.Workflows {
		w := &r.Workflows[i]
		if !w.switching() {
			continue
		}
		if !title {
			title = true
			p.Printf("\n### Switch interval\n\nOne process whose threads contend for the lock; the gain is over an interval of 5 ms.\n\n" +
				"| workflow | CPUs | interval | predicted | measured | error | predicted gain | measured gain |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
		}
		for _, g := range w.switchGains() {
			p.Printf("| %s | %d | %v | %.2f ms | %.2f ms | %+.1f %% | %.2f ms | %.2f ms |\n", w.Name, g.row.CPUs, g.row.SwitchInterval,
				ms(g.row.Predicted), ms(g.row.Measured), 100*g.row.Error(), ms(g.predicted), ms(g.measured))
		}
	}
}
