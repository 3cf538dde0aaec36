package pipeline

import (
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/internal/prices"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/model"
	"github.com/chiron-faas/chiron/plan/pgp"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/simulate"
	"github.com/chiron-faas/chiron/workflow"
)

// TestSimulate: two functions of 10 ms each, in series: a lone request takes 20 ms
// under every model, and costs by the CPUs that its instance has.
func TestSimulate(t *testing.T) {
	definition, err := workflow.ParseDefinition("w.asl.json", []byte(`{"StartAt": "A", "States": {
		"A": {"Type": "Task", "Resource": "f", "Next": "B"}, "B": {"Type": "Task", "Resource": "f", "End": true}}}`))
	if err != nil {
		t.Fatal(err)
	}
	f := profile.Function{Name: "f", Tasks: []string{"A", "B"}, Periods: []profile.Period{{Class: profile.CPU, Mean: 10 * time.Millisecond}}}
	project := &workflow.Project{
		Name: "w", Dir: t.TempDir(), Definition: definition, Functions: map[string]*workflow.Function{"f": {Name: "f", Lang: "python"}},
	}
	own := &plan.Plan{Workflow: "w", Model: "mine", Wraps: []plan.Wrap{{Name: "wrap-1", CPUs: 1, Concurrency: 3, Processes: []plan.Process{{Mode: plan.Pool, Tasks: []string{"A", "B"}}}}}}
	if err := plan.Write(FilesOf(project).Plan, own); err != nil {
		t.Fatal(err)
	}
	table := &prices.Table{Name: "mine", GHzSecond: 1, GHzPerCPU: 2}
	constants := predict.Calibration{SwitchInterval: predict.DefaultSwitchInterval}
	base := simulate.DeploymentOptions{Definition: definition, Profile: &profile.Profile{Workflow: "w", Functions: []profile.Function{f}}, Calibration: &constants}
	o := SimulateOptions{
		Prepare:  PrepareOptions{Project: project},
		Run:      simulate.Options{Nodes: 1, Node: simulate.Node{CPUs: 2}, Requests: 20, Min: 1, Max: 1},
		Arrivals: func() simulate.Arrivals { return simulate.NewSteady(10) },
	}
	s := &Simulated{Objective: &Objective{Latency: Millis(15 * time.Millisecond)}, Prices: table}
	if err := s.run(t.Context(), &o, base); err != nil {
		t.Fatal(err)
	}
	if len(s.Models) != 1+len(model.All()) || s.Models[0].Name != pgp.Name || s.Models[0].Concurrency != 3 {
		t.Fatalf("%+v", s.Models)
	}
	for i := range s.Models {
		m := &s.Models[i]
		if m.Err != nil {
			t.Fatalf("%s: %v", m.Name, m.Err)
		}
		if m.Result.Answered != 20 || m.Result.Mean() != 20*time.Millisecond || s.Violations(m) != 20 {
			t.Errorf("%s: %d answered, %v, %d violations", m.Name, m.Result.Answered, m.Result.Mean(), s.Violations(m))
		}
		if want := float64(m.CPUs) * 2 * 3600; m.USDPerHour < want*0.999 || m.USDPerHour > want*1.001 {
			t.Errorf("%s: %v USD, %d CPUs cost %v", m.Name, m.USDPerHour, m.CPUs, want)
		}
	}

	// A node of one CPU has no room for one-to-one; alone that is an error.
	o.Run.Node.CPUs = 1
	if err := s.run(t.Context(), &o, base); err != nil {
		t.Fatal(err)
	}
	if err := s.Models[1].Err; err == nil || !strings.Contains(err.Error(), "wrap-2 asks for 1 CPU") {
		t.Errorf("%s: %v", s.Models[1].Name, err)
	}
	o.Models = []string{string(model.OneToOne)}
	if err := s.run(t.Context(), &o, base); err == nil || !strings.Contains(err.Error(), "one-to-one: an instance has no room: wrap-2 asks for 1 CPU") {
		t.Error(err)
	}
}
