package main

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/chiron-faas/chiron/internal/atomicfile"
	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/pgp/plot"
)

// pointReport is a plan that no other beats.
type pointReport struct {
	CPUs        int             `json:"cpus"`
	MemoryBytes int64           `json:"memory_bytes"`
	USD         float64         `json:"usd_per_million_requests"`
	LatencyMS   pipeline.Millis `json:"latency_ms"`
	SLOMet      bool            `json:"slo_predicted_met"`
	Plan        *plan.Plan      `json:"plan"`
}

// printFrontier lists the plans that no other beats, if they were asked for.
func printFrontier(w io.Writer, s style, made *pipeline.Planned) {
	if made.Frontier == nil {
		return
	}
	printf(w, "\n%s\n", s.bold("No other plan has fewer CPUs, less memory, a lower price and a lower latency than"))
	var rows [][]string
	for i := range made.Frontier {
		pt := &made.Frontier[i]
		processes := 0
		for k := range pt.Plan.Wraps {
			processes += len(pt.Plan.Wraps[k].Processes)
		}
		mark := ""
		if pt.Plan.Digest() == made.Plan.Digest() {
			mark = "this plan"
		}
		rows = append(rows, []string{
			fmt.Sprint(pt.CPUs), ms(pt.Latency), kept(made, pt.Meets), bytesText(pt.Memory), fmt.Sprintf("%.2f", pt.Money),
			fmt.Sprint(len(pt.Plan.Wraps)), fmt.Sprint(processes), mark,
		})
	}
	printTable(w, s, []column{
		{title: "CPUs", right: true},
		{title: "PREDICTED ms", right: true},
		{title: "SLO"},
		{title: "MEMORY", right: true},
		{title: "USD/million", right: true},
		{title: "WRAPS", right: true},
		{title: "PROCESSES", right: true},
		{title: "", flex: true},
	}, rows)
}

func drawFrontier(file string, made *pipeline.Planned) error {
	var slo time.Duration
	if made.Objective != nil {
		slo = time.Duration(made.Objective.Latency)
	}
	var text bytes.Buffer
	if err := plot.SVG(&text, made.Plan.Workflow, made.Frontier, slo); err != nil {
		return err
	}
	if err := atomicfile.Write(file, text.Bytes()); err != nil {
		return fmt.Errorf("write the picture of the plans: %w", err)
	}
	return nil
}
