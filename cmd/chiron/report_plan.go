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
	// Frontier with --frontier.
	Frontier []pointReport `json:"frontier,omitempty"`
	// Explanation with --explain.
	Explanation *explanation `json:"explanation,omitempty"`
}

type predictionReport struct {
	// LatencyMS is where every period takes its mean; the timeline is its.
	LatencyMS pipeline.Millis `json:"latency_ms"`
	MeanMS    pipeline.Millis `json:"mean_ms"`
	StdDevMS  pipeline.Millis `json:"stddev_ms"`
	P50MS     pipeline.Millis `json:"p50_ms"`
	P90MS     pipeline.Millis `json:"p90_ms"`
	P95MS     pipeline.Millis `json:"p95_ms"`
	P99MS     pipeline.Millis `json:"p99_ms"`
	Samples   int             `json:"samples"`
	Seed      uint64          `json:"seed"`
	CPUTimeMS pipeline.Millis `json:"cpu_time_ms"`
	// PeakMemoryBytes is the most that the wraps hold during a stage.
	PeakMemoryBytes int64         `json:"peak_memory_bytes"`
	Stages          []stageReport `json:"stages"`
	Timeline        []spanReport  `json:"timeline"`
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
		PlanningMS: pipeline.Millis(made.Took), Predicted: reportPrediction(made),
		Calibration: p.Calibrated.Constants,
	}
	if t := made.Prices; t != nil {
		r.Money = moneyReport{made.Money, t.Name, t.AsOf, t.Source}
	}
	for i := range made.Frontier {
		pt := &made.Frontier[i]
		r.Frontier = append(r.Frontier, pointReport{
			pt.CPUs, pt.Memory, pt.Money, pipeline.Millis(pt.Latency), pt.Meets, pt.Plan,
		})
	}
	return r
}

func reportPrediction(made *pipeline.Planned) predictionReport {
	d, p := made.Distribution, made.Prediction
	r := predictionReport{
		LatencyMS: pipeline.Millis(p.Latency), MeanMS: pipeline.Millis(d.Mean), StdDevMS: pipeline.Millis(d.StdDev),
		P50MS: pipeline.Millis(d.P50), P90MS: pipeline.Millis(d.P90), P95MS: pipeline.Millis(d.P95), P99MS: pipeline.Millis(d.P99),
		Samples: d.Samples, Seed: d.Seed, CPUTimeMS: pipeline.Millis(p.CPU), PeakMemoryBytes: p.Memory,
	}
	for _, s := range p.Stages {
		r.Stages = append(r.Stages, stageReport{s.Name, pipeline.Millis(s.Start), pipeline.Millis(s.End)})
	}
	for _, s := range p.Timeline {
		r.Timeline = append(r.Timeline, spanReport{
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
		printFrontier(w, s, p.Planned)
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
	d := made.Distribution
	line := fmt.Sprintf("predicted: p50 %s ms, p90 %s, p99 %s, mean %s; CPU time %s ms", ms(d.P50), ms(d.P90), ms(d.P99), ms(d.Mean), ms(made.Prediction.CPU))
	if made.Prediction.Memory > 0 {
		line += ", memory at most " + bytesText(made.Prediction.Memory)
	}
	printf(w, "%s\n", line)
	line = fmt.Sprintf("found in %s ms", ms(made.Took))
	if t := made.Prices; t != nil {
		line += fmt.Sprintf("; a million requests cost %.2f USD, by prices of %s (%s)", made.Money, t.Name, t.AsOf)
	}
	printf(w, "%s\n", line)
	if o := made.Plan.Objective; o != nil {
		printf(w, "searched for %s (%s, seed %d)\n", o, count(o.Samples, "sample"), o.Seed)
	}
	if o := made.Objective; o != nil {
		spare := time.Duration(o.Latency) - made.Predicted()
		verdict := fmt.Sprintf("predicted %s %s ms", o.At(), ms(made.Predicted()))
		if made.Met {
			verdict = s.good(verdict + fmt.Sprintf(", %s ms to spare", ms(spare)))
		} else {
			verdict = s.bad(verdict + fmt.Sprintf(", %s ms too slow", ms(-spare)))
		}
		printf(w, "SLO %s ms (%s): %s\n", ms(time.Duration(o.Latency)), o.At(), verdict)
	}
	printTimeline(w, s, made.Prediction)
}
