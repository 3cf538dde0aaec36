package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/internal/prices"
	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/simulate"
)

func TestParseOfSimulate(t *testing.T) {
	for text, want := range map[string]float64{"50": 50, "50/s": 50, "3000/m": 50, "1.8e5/h": 50, "100000/s": 100_000} {
		if got, err := parseRate(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]int64{"0": 0, "1000": 1000, "512MB": 512e6, "1.5GB": 15e8, "2kB": 2000, "1TB": 1e12} {
		if got, err := parseMemory(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for text, want := range map[string][2]int{"2": {2, 2}, "0..4": {0, 4}, "1..": {1, 0}, "0..": {0, 0}} {
		if least, most, err := parseInstances(text); err != nil || least != want[0] || most != want[1] {
			t.Errorf("%q: %d, %d, %v", text, least, most, err)
		}
	}
}

// simulatedExample is a simulation of four models.
func simulatedExample() *simulationReport {
	latencies := make([]time.Duration, 1000)
	for i := range latencies {
		latencies[i] = time.Duration(50_000+200*i) * time.Microsecond
	}
	good := &simulate.Result{
		Requests: 1000, Answered: 1000, Duration: 25 * time.Second, Latencies: latencies, Instances: simulate.Level{Mean: 2.5, Peak: 3}, Starts: 1,
		CPUs: simulate.Level{Mean: 5, Peak: 6}, CPUsUsed: 3.2, Memory: simulate.Level{Mean: 1e8, Peak: 1.2e8}, MemoryUsed: simulate.Level{Mean: 9e7, Peak: 1.1e8},
	}
	full := *good
	full.Requests, full.Refused, full.NoRoom, full.Room = 1200, 200, 7, &simulate.CapacityError{Wrap: simulate.Wrap{Name: "wrap-2", CPUs: 5, Memory: 3e7}, Node: simulate.Node{CPUs: 16, Memory: 64e9}, Full: true}
	large := *good
	large.MemoryUsed.Peak = 3e9
	return reportSimulation(&pipeline.Simulated{
		Objective: &pipeline.Objective{Latency: pipeline.Millis(200 * time.Millisecond), Percentile: 95}, Prices: &prices.Table{Name: "google", AsOf: "2023-11"},
		Models: []pipeline.SimulatedModel{
			{Name: "chiron", CPUs: 2, Concurrency: 32, Result: good, USDPerHour: 0.44},
			{Name: "one-to-one", CPUs: 6, Concurrency: 32, Result: &full, USDPerHour: 12.5},
			{Name: "sand", CPUs: 5, Concurrency: 32, Result: &large, USDPerHour: 1.5},
			{Name: "faastlane", Err: errors.New("this deployment model cannot run the workflow: tasks A and B write the same file")},
		},
	}, &pipeline.SimulateOptions{Run: simulate.Options{Nodes: 4, Node: simulate.Node{CPUs: 16, Memory: 64e9}, Seed: 1}})
}

func TestSimulationReport(t *testing.T) {
	r := simulatedExample()
	var text strings.Builder
	textSimulation(r)(&text, style{})
	fits(t, text.String())
	for _, want := range []string{
		"4 nodes of 16 CPUs, 64.0 GB; 1000 requests in 25.0 s, 40.0/s", "150    230  248", "24.9 %", "16.7 %", "0.44",
		"one-to-one: 7 starts found no room: wrap-2 asks for 5 CPUs", "sand: its requests hold up to 3.0 GB",
		"faastlane: this deployment model cannot run the workflow", "SLO 200 ms (p95)",
	} {
		if !strings.Contains(strings.Join(strings.Fields(text.String()), " "), strings.Join(strings.Fields(want), " ")) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}

	file := filepath.Join(t.TempDir(), "out.csv")
	if err := writeSimulation(file, r); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const first = "chiron,,1000,1000,0,149.9000,149.8000,229.8000,247.8000,0.0000,249,2.5000,3,1,0,5.0000,6,3.2000,100000000,120000000,90000000,110000000,0.4400\n"
	if lines := strings.SplitAfter(string(data), "\n"); len(lines) != 6 || lines[1] != first || !strings.HasPrefix(lines[4], "faastlane,this deployment model") {
		t.Errorf("%s", data)
	}
	if err := writeSimulation(filepath.Join(file, "none"), r); err == nil || strings.Contains(err.Error(), "\n") {
		t.Error(err)
	}
}

// TestSimulateTrace: a malformed trace is one line with the file and the line.
func TestSimulateTrace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "trace.csv")
	if err := os.WriteFile(file, []byte("time,count\n0,3\n60,many\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := chiron(t, "simulate", t.TempDir(), "--arrivals", file)
	if got.code != exitFailed || !strings.Contains(got.err, file+": trace: line 3: a count of \"many\"") || strings.Count(got.err, "\n") != 1 {
		t.Errorf("exit code %d, %q", got.code, got.err)
	}
}
