package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/pgp"
)

// explanation is what --explain adds to a plan's JSON report.
type explanation struct {
	// Bound is what no plan can be faster than.
	Bound boundReport `json:"bound"`
	// Critical is what each stage's latency hangs on.
	Critical []criticalReport `json:"critical"`
	// Search are the layouts that were tried, Skipped the counts of CPUs that
	// were not.
	Search  []stepReport    `json:"search"`
	Skipped []skippedReport `json:"skipped,omitempty"`
	// Alternatives are the plans that were not chosen, Excluded the deployment
	// models that cannot run the workflow.
	Alternatives []alternativeReport `json:"alternatives"`
	Excluded     []excludedReport    `json:"excluded,omitempty"`
	// Relaxed are the plans without some of the project's rules.
	Relaxed []relaxedReport `json:"relaxed,omitempty"`
}

type boundReport struct {
	LatencyMS pipeline.Millis `json:"latency_ms"`
	Tasks     []string        `json:"tasks"`
}

// criticalReport is the task that ends a stage.
type criticalReport struct {
	Stage     string          `json:"stage"`
	LatencyMS pipeline.Millis `json:"latency_ms"`
	Task      string          `json:"task"`
	Wrap      string          `json:"wrap"`
	Process   int             `json:"process"`
}

// stepReport is one layout that the search tried.
type stepReport struct {
	Processes   int             `json:"processes"`
	Mode        plan.Mode       `json:"mode"`
	Wraps       int             `json:"wraps"`
	CPUs        int             `json:"cpus"`
	Shared      bool            `json:"cpus_shared"`
	MemoryBytes int64           `json:"memory_bytes"`
	LatencyMS   pipeline.Millis `json:"latency_ms"`
	SLOMet      bool            `json:"slo_predicted_met"`
	Why         string          `json:"why,omitempty"`
}

type skippedReport struct {
	CPUs      int             `json:"cpus"`
	AtLeastMS pipeline.Millis `json:"at_least_ms"`
}

// alternativeReport is a plan that was not chosen.
type alternativeReport struct {
	Name        string          `json:"name"`
	LatencyMS   pipeline.Millis `json:"latency_ms"`
	SLOMet      bool            `json:"slo_predicted_met"`
	CPUs        int             `json:"cpus"`
	MemoryBytes int64           `json:"memory_bytes"`
	Plan        *plan.Plan      `json:"plan"`
}

type excludedReport struct {
	Model string `json:"model"`
	Why   string `json:"why"`
}

type relaxedReport struct {
	Without   string          `json:"without"`
	LatencyMS pipeline.Millis `json:"latency_ms"`
	SLOMet    bool            `json:"slo_predicted_met"`
	CPUs      int             `json:"cpus"`
	Wraps     int             `json:"wraps"`
}

// explain says why a plan was chosen; nil where nothing was searched.
func explain(made *pipeline.Planned) *explanation {
	r := made.Search
	if r == nil {
		return nil
	}
	e := &explanation{Bound: boundReport{pipeline.Millis(made.Bound.Latency), made.Bound.Tasks}}
	for _, c := range r.Critical() {
		e.Critical = append(e.Critical, criticalReport{c.Stage, pipeline.Millis(c.Latency), c.Task, c.Wrap, c.Process})
	}
	for _, t := range r.Steps {
		e.Search = append(e.Search, stepReport{
			t.Processes, t.Mode, t.Wraps, t.CPUs, t.Shared, t.Memory, pipeline.Millis(t.Latency), t.Meets, t.Why,
		})
	}
	for _, s := range r.Skipped {
		e.Skipped = append(e.Skipped, skippedReport{s.CPUs, pipeline.Millis(s.AtLeast)})
	}
	for _, a := range r.Alternatives {
		e.Alternatives = append(e.Alternatives, alternativeReport{a.Name, pipeline.Millis(a.Latency), a.Meets, a.CPUs, a.Memory, a.Plan})
	}
	for _, x := range r.Excluded {
		e.Excluded = append(e.Excluded, excludedReport{string(x.Model), x.Why})
	}
	for _, x := range made.Relaxed {
		e.Relaxed = append(e.Relaxed, relaxedReport{x.Without, pipeline.Millis(x.Latency), x.Met, x.Plan.CPUs(), len(x.Plan.Wraps)})
	}
	return e
}

// printExplanation says why the plan was chosen and what else there is.
func printExplanation(w io.Writer, s style, made *pipeline.Planned) {
	if made.Search == nil {
		return
	}
	printWhy(w, s, made)
	printSearch(w, s, made)
	printAlternatives(w, s, made)
}

// printWhy says what the plan's latency hangs on and what keeps it as it is.
func printWhy(w io.Writer, s style, made *pipeline.Planned) {
	r := made.Search
	printf(w, "\n%s\n", s.bold("Why this plan"))
	line := func(format string, args ...any) { printf(w, "%s\n", wrapped(fmt.Sprintf(format, args...), 2)) }
	if made.Plan == r.Plan {
		for _, c := range r.Critical() {
			line("%s takes %s ms: as long as %s, in process %d of %s", c.Stage, ms(c.Latency), c.Task, c.Process+1, c.Wrap)
		}
	}
	b := made.Bound
	line("no plan is faster than %s ms: %s alone", ms(b.Latency), strings.Join(shortened(b.Tasks), " → "))
	printNeighbours(line, made)
	for _, x := range made.Relaxed {
		line("%s", relaxedText(r, x))
	}
}

// printNeighbours says what a CPU more would buy and one fewer cost.
func printNeighbours(line func(string, ...any), made *pipeline.Planned) {
	r := made.Search
	fewer, more := false, false
	for _, a := range r.Alternatives {
		if !strings.HasSuffix(a.Name, "fewer") && !strings.HasSuffix(a.Name, "more") {
			continue // a deployment model
		}
		fewer = fewer || a.CPUs < r.Plan.CPUs()
		more = more || a.CPUs > r.Plan.CPUs()
		text := fmt.Sprintf("%s: %s ms, %s", a.Name, ms(a.Latency), difference(a.Latency-r.Prediction.Latency))
		if o := made.Objective; o != nil && r.Met && !a.Meets {
			text += fmt.Sprintf("; it misses the SLO by %s ms: the SLO binds", ms(a.Latency-time.Duration(o.Latency)))
		}
		line("%s", text)
	}
	if !fewer {
		line("there is no plan with a CPU fewer")
	}
	if !more {
		line("a CPU more gives nothing: no more can run at a time, or the machine has no more")
	}
}

// difference of two latencies in words.
func difference(d time.Duration) string {
	switch {
	case d > 0:
		return ms(d) + " ms slower"
	case d < 0:
		return ms(-d) + " ms faster"
	}
	return "as fast"
}

// relaxedText says what a rule costs.
func relaxedText(r *pgp.Result, x pipeline.Relaxed) string {
	saved := r.Plan.CPUs() - x.Plan.CPUs()
	switch {
	case r.Met != x.Met:
		return fmt.Sprintf("without %q: %s ms, which meets the SLO: the rule binds", x.Without, ms(x.Latency))
	case saved > 0:
		return fmt.Sprintf("without %q: %s in %s, %s ms: the rule costs %s", x.Without,
			count(x.Plan.CPUs(), "CPU"), count(len(x.Plan.Wraps), "wrap"), ms(x.Latency), count(saved, "CPU"))
	case saved == 0 && x.Latency == r.Prediction.Latency && len(x.Plan.Wraps) == len(r.Plan.Wraps):
		return fmt.Sprintf("without %q: the plan would be as good: the rule does not bind", x.Without)
	}
	return fmt.Sprintf("without %q: %s in %s, %s ms (%s)", x.Without, count(x.Plan.CPUs(), "CPU"),
		count(len(x.Plan.Wraps), "wrap"), ms(x.Latency), difference(x.Latency-r.Prediction.Latency))
}

// shortened leaves out the middle of a long list.
func shortened(names []string) []string {
	const most = 8
	if len(names) <= most {
		return names
	}
	out := append([]string{}, names[:most/2]...)
	out = append(out, fmt.Sprintf("… %d more …", len(names)-most))
	return append(out, names[len(names)-most/2:]...)
}

// printSearch shows what the search tried.
func printSearch(w io.Writer, s style, made *pipeline.Planned) {
	r := made.Search
	printf(w, "\n%s\n", s.bold(fmt.Sprintf("Search: %s", count(r.Evaluations, "prediction"))))
	if n := len(r.Skipped); n > 0 {
		first, last := r.Skipped[0], r.Skipped[n-1]
		which := fmt.Sprintf("%d to %d CPUs", first.CPUs, last.CPUs)
		if n == 1 {
			which = count(first.CPUs, "CPU")
		}
		printf(w, "%s\n", wrapped(fmt.Sprintf("not tried: %s, on which the work alone takes %s ms at least", which, ms(last.AtLeast)), 0))
	}
	var rows [][]string
	for _, t := range r.Steps {
		cpus := fmt.Sprint(t.CPUs)
		if t.Shared {
			cpus = "shared " + cpus
		}
		rows = append(rows, []string{
			fmt.Sprint(t.Processes), string(t.Mode), fmt.Sprint(t.Wraps), cpus, bytesText(t.Memory), ms(t.Latency), kept(made, t.Meets), t.Why,
		})
	}
	printTable(w, s, []column{
		{title: "PROCESSES", right: true},
		{title: "MODE"},
		{title: "WRAPS", right: true},
		{title: "CPUs", right: true},
		{title: "MEMORY", right: true},
		{title: "PREDICTED ms", right: true},
		{title: "SLO"},
		{title: "WHY NOT", flex: true},
	}, rows)
	chosen := fmt.Sprintf("%s in %s, predicted %s ms", count(r.Plan.CPUs(), "CPU"), count(len(r.Plan.Wraps), "wrap"), ms(r.Prediction.Latency))
	switch {
	case made.Objective == nil:
		printf(w, "found: %s; without an SLO the fewest CPUs win\n", chosen)
	case r.Met:
		printf(w, "found: %s; the fewest CPUs that meet the SLO\n", chosen)
	default:
		printf(w, "found: %s; no plan meets the SLO, this is the fastest\n", chosen)
	}
}

// printAlternatives shows the plan beside the next best and the fixed models'.
func printAlternatives(w io.Writer, s style, made *pipeline.Planned) {
	printf(w, "\n%s\n", s.bold("What else there is"))
	row := func(name string, p *plan.Plan, latency time.Duration, meets bool, memory int64) []string {
		processes := 0
		for i := range p.Wraps {
			processes += len(p.Wraps[i].Processes)
		}
		return []string{
			name, ms(latency), kept(made, meets), fmt.Sprint(p.CPUs()), fmt.Sprint(len(p.Wraps)), fmt.Sprint(processes), bytesText(memory),
		}
	}
	rows := [][]string{row("this plan ("+made.Plan.Model+")", made.Plan, made.Prediction.Latency, made.Met, made.Memory)}
	for _, a := range made.Search.Alternatives {
		rows = append(rows, row(a.Name, a.Plan, a.Latency, a.Meets, a.Memory))
	}
	printTable(w, s, []column{
		{title: "PLAN", flex: true},
		{title: "PREDICTED ms", right: true},
		{title: "SLO"},
		{title: "CPUs", right: true},
		{title: "WRAPS", right: true},
		{title: "PROCESSES", right: true},
		{title: "MEMORY", right: true},
	}, rows)
	for _, x := range made.Search.Excluded {
		printf(w, "%s\n", wrapped("not possible: "+strings.ReplaceAll(x.Why, "\n", "; "), 2))
	}
}

// kept says whether a plan is predicted to meet the objective, if there is one.
func kept(made *pipeline.Planned, meets bool) string {
	switch {
	case made.Objective == nil:
		return "·"
	case meets:
		return "met"
	}
	return "missed"
}
