package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/pgp"
	"github.com/chiron-faas/chiron/predict"
)

// planReport is a plan with --output json.
type planReport struct {
	Plan        *plan.Plan           `json:"plan"`
	Predicted   predictionReport     `json:"predicted"`
	SLO         *pipeline.Objective  `json:"slo,omitempty"`
	SLOMet      bool                 `json:"slo_predicted_met"`
	CPUs        int                  `json:"cpus"`
	MemoryBytes int64                `json:"memory_bytes"`
	PlanningMS  pipeline.Millis      `json:"planning_ms"`
	Calibration *predict.Calibration `json:"calibration"`
	// Search and Alternatives with --explain.
	Search       []stepReport        `json:"search,omitempty"`
	Alternatives []alternativeReport `json:"alternatives,omitempty"`
}

type predictionReport struct {
	LatencyMS pipeline.Millis `json:"latency_ms"`
	Stages    []stageReport   `json:"stages"`
	Timeline  []spanReport    `json:"timeline"`
}

type stageReport struct {
	Name    string          `json:"name"`
	StartMS pipeline.Millis `json:"start_ms"`
	EndMS   pipeline.Millis `json:"end_ms"`
}

type spanReport struct {
	Task     string           `json:"task"`
	Function string           `json:"function"`
	Wrap     string           `json:"wrap"`
	Process  int              `json:"process"`
	Activity predict.Activity `json:"activity"`
	StartMS  pipeline.Millis  `json:"start_ms"`
	EndMS    pipeline.Millis  `json:"end_ms"`
}

// stepReport is one count of processes that the search tried.
type stepReport struct {
	Processes int             `json:"processes"`
	Mode      plan.Mode       `json:"mode"`
	Wraps     int             `json:"wraps"`
	CPUs      int             `json:"cpus"`
	LatencyMS pipeline.Millis `json:"latency_ms"`
	SLOMet    bool            `json:"slo_predicted_met"`
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

func reportPlan(p *pipeline.Prepared) planReport {
	made := p.Planned
	r := planReport{
		Plan: made.Plan, SLO: made.Objective, SLOMet: made.Met, CPUs: made.Plan.CPUs(), MemoryBytes: made.Memory,
		PlanningMS: pipeline.Millis(made.Took), Predicted: predictionReport{LatencyMS: pipeline.Millis(made.Prediction.Latency)},
		Calibration: p.Calibrated.Constants,
	}
	for _, s := range made.Prediction.Stages {
		r.Predicted.Stages = append(r.Predicted.Stages, stageReport{s.Name, pipeline.Millis(s.Start), pipeline.Millis(s.End)})
	}
	for _, s := range made.Prediction.Timeline {
		r.Predicted.Timeline = append(r.Predicted.Timeline, spanReport{
			s.Task, s.Function, s.Wrap, s.Process, s.Activity, pipeline.Millis(s.Start), pipeline.Millis(s.End),
		})
	}
	return r
}

// explain adds to a report what the search tried and what else there is.
func (r *planReport) explain(search *pgp.Result) {
	for _, t := range search.Steps {
		r.Search = append(r.Search, stepReport{t.Processes, t.Mode, t.Wraps, t.CPUs, pipeline.Millis(t.Latency), t.Meets})
	}
	for _, a := range search.Alternatives {
		r.Alternatives = append(r.Alternatives, alternativeReport{a.Name, pipeline.Millis(a.Latency), a.Meets, a.CPUs, a.Memory, a.Plan})
	}
}

// printConstants says what the prediction was made with.
func printConstants(w io.Writer, s style, c *pipeline.Calibrated) {
	if c.File == "" {
		printf(w, "%s\n", s.bad("note: the machine was busy when its constants were measured: the prediction is rough"))
		return
	}
	printf(w, "%s\n", s.dim("this machine's constants: "+c.File))
}

func textPlan(p *pipeline.Prepared, explain bool, file string) func(io.Writer, style) {
	return func(w io.Writer, s style) {
		printPlan(w, s, p.Planned)
		printConstants(w, s, p.Calibrated)
		if explain && p.Planned.Search != nil {
			printSearch(w, s, p.Planned)
			printAlternatives(w, s, p.Planned)
		}
		printf(w, "\nwritten to %s\n", file)
	}
}

// printPlan draws the plan as a tree, with what is predicted of it.
func printPlan(w io.Writer, s style, made *pipeline.Planned) {
	title, tree, _ := strings.Cut(made.Plan.Tree(width), "\n")
	printf(w, "%s\n%s", s.bold("Plan: "+title), tree)
	line := fmt.Sprintf("predicted latency %s ms", ms(made.Prediction.Latency))
	if made.Memory > 0 {
		line += ", memory about " + bytesText(made.Memory)
	}
	printf(w, "%s, found in %s ms\n", line, ms(made.Took))
	if o := made.Objective; o != nil {
		spare := time.Duration(o.Latency) - made.Prediction.Latency
		what := "the prediction"
		if o.Percentile != 0 {
			what = "the mean, which is what is predicted," // the spread is not, so far
		}
		verdict := s.good(fmt.Sprintf("%s meets it with %s ms to spare", what, ms(spare)))
		if !made.Met {
			verdict = s.bad(fmt.Sprintf("%s misses it by %s ms", what, ms(-spare)))
		}
		printf(w, "SLO %s ms (%s): %s\n", ms(time.Duration(o.Latency)), o.At(), verdict)
	}
	printTimeline(w, s, made.Prediction)
}

// printSearch says why the search came to its plan.
func printSearch(w io.Writer, s style, made *pipeline.Planned) {
	r := made.Search
	printf(w, "\n%s\n", s.bold(fmt.Sprintf("Search: %s", count(r.Evaluations, "prediction"))))
	var rows [][]string
	for _, t := range r.Steps {
		rows = append(rows, []string{
			fmt.Sprint(t.Processes), string(t.Mode), fmt.Sprint(t.Wraps), fmt.Sprint(t.CPUs), ms(t.Latency), kept(made, t.Meets),
		})
	}
	printTable(w, s, []column{
		{title: "PROCESSES", right: true},
		{title: "MODE"},
		{title: "WRAPS", right: true},
		{title: "CPUs", right: true},
		{title: "PREDICTED ms", right: true},
		{title: "SLO"},
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
