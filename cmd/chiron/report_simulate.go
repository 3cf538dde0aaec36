package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/simulate"
)

// simulationReport is a simulation with --output json.
type simulationReport struct {
	Nodes           int                 `json:"nodes"`
	NodeCPUs        int                 `json:"node_cpus"`
	NodeMemoryBytes int64               `json:"node_memory_bytes,omitempty"`
	Seed            uint64              `json:"seed"`
	WarmUp          int                 `json:"warm_up_requests"`
	SLO             *pipeline.Objective `json:"slo,omitempty"`
	Prices          string              `json:"prices"`
	AsOf            string              `json:"as_of,omitempty"`
	Source          string              `json:"source,omitempty"`
	Models          []simulatedReport   `json:"models"`
}

// simulatedReport is one model's.
type simulatedReport struct {
	Model string `json:"model"`
	// Error says why there is nothing else.
	Error string `json:"error,omitempty"`

	InstanceCPUs int             `json:"instance_cpus,omitempty"`
	Concurrency  int             `json:"concurrency,omitempty"`
	Requests     int             `json:"requests"`
	Answered     int             `json:"answered"`
	Refused      int             `json:"refused"`
	DurationS    float64         `json:"duration_s"`
	MeanMS       pipeline.Millis `json:"mean_ms"`
	P50MS        pipeline.Millis `json:"p50_ms"`
	P90MS        pipeline.Millis `json:"p90_ms"`
	P99MS        pipeline.Millis `json:"p99_ms"`
	WaitedMS     pipeline.Millis `json:"waited_ms"`
	// SLOMet is whether the figure at the objective's percentile keeps it, where
	// no request was refused.
	SLOMet        *bool          `json:"slo_met,omitempty"`
	SLOViolations *int           `json:"slo_violations,omitempty"`
	Instances     simulate.Level `json:"instances"`
	Starts        int            `json:"starts"`
	NoRoom        int            `json:"starts_without_room"`
	NoRoomCause   string         `json:"no_room_cause,omitempty"`
	CPUs          simulate.Level `json:"cpus"`
	CPUsUsed      float64        `json:"cpus_used"`
	MemoryBytes   simulate.Level `json:"memory_bytes"`
	MemoryUsed    simulate.Level `json:"memory_used_bytes"`
	USDPerHour    float64        `json:"usd_per_hour"`
	// SimulatingMS is how long the simulation took.
	SimulatingMS pipeline.Millis `json:"simulating_ms"`
}

func reportSimulation(s *pipeline.Simulated, o *pipeline.SimulateOptions) *simulationReport {
	r := &simulationReport{
		Nodes: o.Run.Nodes, NodeCPUs: o.Run.Node.CPUs, NodeMemoryBytes: o.Run.Node.Memory, Seed: o.Run.Seed, WarmUp: o.Run.WarmUp,
		SLO: s.Objective, Prices: s.Prices.Name, AsOf: s.Prices.AsOf, Source: s.Prices.Source,
	}
	for i := range s.Models {
		m := &s.Models[i]
		one := simulatedReport{Model: m.Name, InstanceCPUs: m.CPUs, Concurrency: m.Concurrency}
		if m.Err != nil {
			one.Error = m.Err.Error()
			r.Models = append(r.Models, one)
			continue
		}
		of := m.Result
		one.Requests, one.Answered, one.Refused = of.Requests, of.Answered, of.Refused
		one.DurationS = of.Duration.Seconds()
		one.MeanMS, one.P50MS = pipeline.Millis(of.Mean()), pipeline.Millis(of.Percentile(50))
		one.P90MS, one.P99MS = pipeline.Millis(of.Percentile(90)), pipeline.Millis(of.Percentile(99))
		one.WaitedMS = pipeline.Millis(of.Waited)
		one.Instances, one.Starts, one.NoRoom = of.Instances, of.Starts, of.NoRoom
		if of.NoRoom > 0 && of.Room != nil {
			one.NoRoomCause = of.Room.Error()
		}
		one.CPUs, one.CPUsUsed, one.MemoryBytes, one.MemoryUsed = of.CPUs, of.CPUsUsed, of.Memory, of.MemoryUsed
		one.USDPerHour, one.SimulatingMS = m.USDPerHour, pipeline.Millis(m.Took)
		if s.Objective != nil {
			met := of.Refused == 0 && of.Percentile(s.Objective.Percentile) <= time.Duration(s.Objective.Latency)
			over := s.Violations(m)
			one.SLOMet, one.SLOViolations = &met, &over
		}
		r.Models = append(r.Models, one)
	}
	return r
}

// table is the report in CSV: times in ms, memory in bytes.
func (r *simulationReport) table() (header []string, rows [][]string) {
	header = []string{
		"model", "error", "requests", "answered", "refused", "mean_ms", "p50_ms", "p90_ms", "p99_ms", "waited_ms", "slo_violations",
		"instances_mean", "instances_peak", "starts", "starts_without_room", "cpus_mean", "cpus_peak", "cpus_used",
		"memory_mean_bytes", "memory_peak_bytes", "memory_used_mean_bytes", "memory_used_peak_bytes", "usd_per_hour",
	}
	whole := func(v float64) string { return strconv.FormatFloat(v, 'f', 0, 64) }
	part := func(v float64) string { return strconv.FormatFloat(v, 'f', 4, 64) }
	millis := func(m pipeline.Millis) string { return part(time.Duration(m).Seconds() * 1e3) }
	for i := range r.Models {
		m := &r.Models[i]
		if m.Error != "" {
			row := make([]string, len(header))
			row[0], row[1] = m.Model, m.Error
			rows = append(rows, row)
			continue
		}
		over := ""
		if m.SLOViolations != nil {
			over = strconv.Itoa(*m.SLOViolations)
		}
		rows = append(rows, []string{
			m.Model, "", strconv.Itoa(m.Requests), strconv.Itoa(m.Answered), strconv.Itoa(m.Refused),
			millis(m.MeanMS), millis(m.P50MS), millis(m.P90MS), millis(m.P99MS), millis(m.WaitedMS), over,
			part(m.Instances.Mean), whole(m.Instances.Peak), strconv.Itoa(m.Starts), strconv.Itoa(m.NoRoom),
			part(m.CPUs.Mean), whole(m.CPUs.Peak), part(m.CPUsUsed),
			whole(m.MemoryBytes.Mean), whole(m.MemoryBytes.Peak), whole(m.MemoryUsed.Mean), whole(m.MemoryUsed.Peak), part(m.USDPerHour),
		})
	}
	return header, rows
}

func textSimulation(r *simulationReport) func(io.Writer, style) {
	return func(w io.Writer, s style) {
		first := r.first()
		node := fmt.Sprintf("%d CPUs", r.NodeCPUs)
		if r.NodeMemoryBytes > 0 {
			node += ", " + bytesText(r.NodeMemoryBytes)
		}
		printf(w, "%s\n", s.bold(fmt.Sprintf("On paper: %s of %s; %d requests in %s s, %s/s",
			count(r.Nodes, "node"), node, first.Requests, amount(first.DurationS), amount(float64(first.Requests)/max(first.DurationS, 1e-9)))))
		columns := []column{{title: "model"}}
		for _, title := range []string{"p50 ms", "p90", "p99", "over SLO", "refused", "instances", "CPUs", "used", "memory", "USD/h"} {
			columns = append(columns, column{title: title, right: true})
		}
		var rows [][]string
		for i := range r.Models {
			if m := &r.Models[i]; m.Error == "" {
				rows = append(rows, simulatedRow(m))
			}
		}
		printTable(w, s, columns, rows)
		r.printNotes(w, s)
	}
}

// first is the first model that was simulated.
func (r *simulationReport) first() *simulatedReport {
	for i := range r.Models {
		if r.Models[i].Error == "" {
			return &r.Models[i]
		}
	}
	return &simulatedReport{}
}

func simulatedRow(m *simulatedReport) []string {
	row := []string{m.Model, "–", "–", "–"}
	if m.Answered > 0 {
		row = []string{m.Model, ms(time.Duration(m.P50MS)), ms(time.Duration(m.P90MS)), ms(time.Duration(m.P99MS))}
	}
	over := "–"
	if m.SLOViolations != nil {
		over = percentText(*m.SLOViolations, m.Answered)
	}
	return append(row, over, percentText(m.Refused, m.Requests), amount(m.Instances.Mean), amount(m.CPUs.Mean), amount(m.CPUsUsed),
		bytesText(int64(m.MemoryBytes.Mean)), fmt.Sprintf("%.2f", m.USDPerHour))
}

// printNotes says what the table does not.
func (r *simulationReport) printNotes(w io.Writer, s style) {
	for i := range r.Models {
		m := &r.Models[i]
		switch {
		case m.Error != "":
			printf(w, "%s: %s\n", m.Model, s.bad(wrapped(m.Error, len(m.Model)+2)))
		case m.NoRoom > 0:
			printf(w, "%s: %s\n", m.Model, s.bad(wrapped(fmt.Sprintf("%s found no room: %s", count(m.NoRoom, "start"), m.NoRoomCause), len(m.Model)+2)))
		case m.MemoryUsed.Peak > m.MemoryBytes.Peak:
			printf(w, "%s: %s\n", m.Model, wrapped(fmt.Sprintf("its requests hold up to %s, more than its instances are given", bytesText(int64(m.MemoryUsed.Peak))), len(m.Model)+2))
		}
	}
	printf(w, "\n%s\n", s.dim("CPUs, memory and money are those of the instances, on average; used: CPUs that are busy"))
	if r.SLO != nil {
		printf(w, "%s\n", s.dim(fmt.Sprintf("SLO %s ms (%s)", ms(time.Duration(r.SLO.Latency)), r.SLO.At())))
	}
	printf(w, "%s\n", s.dim(fmt.Sprintf("prices of %s (%s); seed %d", r.Prices, r.AsOf, r.Seed)))
}

// amount writes a number with three figures at most where it is small.
func amount(v float64) string {
	switch {
	case v >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

func percentText(n, of int) string {
	if of == 0 {
		return "–"
	}
	p := 100 * float64(n) / float64(of)
	if n > 0 && p < 0.01 {
		return "<0.01 %"
	}
	return amount(p) + " %"
}
