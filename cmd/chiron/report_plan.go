package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/plan"
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
	Money       moneyReport          `json:"money"`
	// Explanation with --explain.
	Explanation *explanation `json:"explanation,omitempty"`
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

// moneyReport is what a million requests cost, and by which prices.
type moneyReport struct {
	USD    float64 `json:"usd_per_million_requests"`
	Prices string  `json:"prices"`
	AsOf   string  `json:"as_of,omitempty"`
	Source string  `json:"source,omitempty"`
}

func reportPlan(p *pipeline.Prepared) planReport {
	made := p.Planned
	r := planReport{
		Plan: made.Plan, SLO: made.Objective, SLOMet: made.Met, CPUs: made.Plan.CPUs(), MemoryBytes: made.Memory,
		PlanningMS: pipeline.Millis(made.Took), Predicted: predictionReport{LatencyMS: pipeline.Millis(made.Prediction.Latency)},
		Calibration: p.Calibrated.Constants,
	}
	if t := made.Prices; t != nil {
		r.Money = moneyReport{made.Money, t.Name, t.AsOf, t.Source}
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
		if explain {
			printExplanation(w, s, p.Planned)
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
	if t := made.Prices; t != nil {
		printf(w, "a million requests cost %.2f USD, by prices of %s (%s)\n", made.Money, t.Name, t.AsOf)
	}
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
