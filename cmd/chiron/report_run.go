package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/profile"
)

// runReport is a run with --output json.
type runReport struct {
	Workflow string          `json:"workflow"`
	Machine  profile.Machine `json:"machine"`
	Profile  json.RawMessage `json:"profile"` // profile.json
	planReport
	Measured measuredReport `json:"measured"`
	// PredictionErrors are each (predicted − measured) / measured.
	PredictionErrors pipeline.Errors   `json:"prediction_errors"`
	Verdict          *pipeline.Verdict `json:"verdict,omitempty"`
	Output           json.RawMessage   `json:"output,omitempty"`
}

type measuredReport struct {
	Requests int             `json:"requests"`
	WarmUp   int             `json:"warm_up"`
	MeanMS   pipeline.Millis `json:"mean_ms"`
	StdDevMS pipeline.Millis `json:"stddev_ms"`
	MinMS    pipeline.Millis `json:"min_ms"`
	MedianMS pipeline.Millis `json:"median_ms"`
	P90MS    pipeline.Millis `json:"p90_ms"`
	P99MS    pipeline.Millis `json:"p99_ms"`
	MaxMS    pipeline.Millis `json:"max_ms"`
}

func reportRun(workflow string, r *pipeline.Ran) (runReport, error) {
	l := r.Measured.Latency
	out := runReport{
		Workflow: workflow, Machine: profile.ThisMachine(), planReport: reportPlan(r.Prepared),
		Measured: measuredReport{
			Requests: r.Measured.Requests, WarmUp: r.Measured.WarmUp, MeanMS: pipeline.Millis(l.Mean), StdDevMS: pipeline.Millis(l.StdDev),
			MinMS: pipeline.Millis(l.Min), MedianMS: pipeline.Millis(l.P50), P90MS: pipeline.Millis(r.Measured.Percentile(90)), P99MS: pipeline.Millis(l.P99), MaxMS: pipeline.Millis(l.Max),
		},
		PredictionErrors: r.Errors, Verdict: r.Verdict,
	}
	if json.Valid(r.Measured.Output) {
		out.Output = r.Measured.Output
	}
	var measured bytes.Buffer
	if err := r.Prepared.Profile.Encode(&measured); err != nil {
		return out, err
	}
	out.Profile = measured.Bytes()
	return out, nil
}

// printMeasured compares what was measured with what was predicted and asked for.
func printMeasured(w io.Writer, s style, r *pipeline.Ran) {
	m, d, e := r.Measured, r.Prepared.Planned.Distribution, r.Errors
	printf(w, "%s\n", s.bold(fmt.Sprintf("Measured: %s after %d to warm up, one at a time", count(m.Requests, "request"), m.WarmUp)))
	printTable(w, s, []column{
		{title: "", right: false},
		{title: "p50 ms", right: true},
		{title: "p90", right: true},
		{title: "p99", right: true},
		{title: "mean", right: true},
		{title: "min", right: true},
		{title: "max", right: true},
	}, [][]string{
		{"measured", ms(m.Latency.P50), ms(m.Percentile(90)), ms(m.Latency.P99), ms(m.Latency.Mean), ms(m.Latency.Min), ms(m.Latency.Max)},
		{"predicted", ms(d.P50), ms(d.P90), ms(d.P99), ms(d.Mean), "", ""},
		{"error", percent(e.P50), percent(e.P90), percent(e.P99), percent(e.Mean), "", ""},
	})
	v := r.Verdict
	if v == nil {
		printf(w, "%s\n", s.dim("no SLO to judge by: write for example slo: 120ms in chiron.yaml"))
		return
	}
	line := fmt.Sprintf("%s %s ms of at most %s ms", v.At(), ms(time.Duration(v.Measured)), ms(time.Duration(v.Latency)))
	if v.Met {
		printf(w, "SLO %s: %s\n", s.good("met"), line)
	} else {
		printf(w, "SLO %s: %s\n", s.bad("missed"), line)
	}
	if v.TooFew {
		printf(w, "%s\n", s.dim("note: of so few requests, "+v.At()+" is the slowest one: measure more with --requests"))
	}
}

// percent writes a part of something with its sign: "+5.3 %".
func percent(part float64) string { return fmt.Sprintf("%+.1f %%", 100*part) }
