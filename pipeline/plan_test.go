package pipeline

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/model"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// TestObjectiveIsJudgedAtItsPercentile: a function of 100 ms in the mean, one run
// in twenty of which takes 20 ms more, keeps 112 ms at the mean and at p90, and
// not at p99.
func TestObjectiveIsJudgedAtItsPercentile(t *testing.T) {
	definition, err := workflow.ParseDefinition("w.asl.json", []byte(`{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "f", "End": true}}}`))
	if err != nil {
		t.Fatal(err)
	}
	f := profile.Function{Name: "f", Tasks: []string{"A"}, Wall: profile.Stat{Mean: 100 * time.Millisecond}}
	f.Periods = []profile.Period{{Class: profile.CPU, Mean: f.Wall.Mean}}
	for i := range 100 {
		wall := f.Wall.Mean
		if i >= 95 {
			wall += 20 * time.Millisecond
		}
		f.Walls = append(f.Walls, wall)
	}
	constants := predict.Calibration{SwitchInterval: predict.DefaultSwitchInterval}
	for _, c := range []struct {
		model      string
		percentile float64
		met        bool
	}{
		{"", 0, true},
		{"", 90, true},
		{"", 99, false},
		{string(model.OneToOne), 90, true},
		{string(model.OneToOne), 99, false},
	} {
		made, err := MakePlan(t.Context(), PlanOptions{
			Project: &workflow.Project{
				Name: "w", Definition: definition, Functions: map[string]*workflow.Function{"f": {Name: "f", Lang: "python"}},
				SLO: workflow.SLO{Latency: 112 * time.Millisecond, Percentile: c.percentile},
			},
			Profile: &profile.Profile{Workflow: "w", Functions: []profile.Function{f}}, Calibration: &constants, Model: c.model, CPUs: 2,
		})
		if err != nil {
			t.Fatal(err)
		}
		if made.Met != c.met || made.Predicted() != made.Distribution.Percentile(c.percentile) || made.Distribution.Samples != predict.DefaultSamples {
			t.Errorf("%q at p%v: met %v, predicted %v", c.model, c.percentile, made.Met, made.Predicted())
		}
		// The plan says what it was searched for; a fixed model's was not.
		var want *plan.Objective
		if c.model == "" {
			want = &plan.Objective{
				Goal: plan.FewestCPUs, MostCPUs: 2, SLO: 112 * time.Millisecond, Percentile: c.percentile,
				Predicted: made.Predicted().Round(time.Microsecond), Samples: predict.DefaultSamples,
			}
		}
		if diff := cmp.Diff(want, made.Plan.Objective); diff != "" {
			t.Errorf("%q at p%v: the plan's objective (-want +got):\n%s", c.model, c.percentile, diff)
		}
	}
}

// A searched plan, and a fixed model's, lets as many requests in as the project
// says, where nobody says otherwise.
func TestConcurrencyOfAPlan(t *testing.T) {
	definition, err := workflow.ParseDefinition("w.asl.json", []byte(`{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "f", "End": true}}}`))
	if err != nil {
		t.Fatal(err)
	}
	f := profile.Function{Name: "f", Tasks: []string{"A"}, Wall: profile.Stat{Mean: time.Millisecond}, Walls: []time.Duration{time.Millisecond}}
	f.Periods = []profile.Period{{Class: profile.CPU, Mean: f.Wall.Mean}}
	constants := predict.Calibration{SwitchInterval: predict.DefaultSwitchInterval}
	for _, c := range []struct {
		project, asked, want int
		model                string
	}{
		{0, 0, 0, ""},
		{7, 0, 7, ""},
		{7, 9, 9, ""},
		{7, 0, 7, string(model.OneToOne)},
	} {
		made, err := MakePlan(t.Context(), PlanOptions{
			Project: &workflow.Project{
				Name: "w", Definition: definition, Functions: map[string]*workflow.Function{"f": {Name: "f", Lang: "python"}},
				Scale: workflow.Scale{Concurrency: c.project},
			},
			Profile: &profile.Profile{Workflow: "w", Functions: []profile.Function{f}}, Calibration: &constants,
			Model: c.model, CPUs: 2, Concurrency: c.asked,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range made.Plan.Wraps {
			if w.Concurrency != c.want {
				t.Errorf("%+v: %s takes %d requests", c, w.Name, w.Concurrency)
			}
		}
	}
}

func TestErrorsOfADistribution(t *testing.T) {
	const unit = time.Millisecond
	m := &Measurement{Samples: []time.Duration{10 * unit, 20 * unit, 40 * unit}}
	m.Latency = profile.NewStat(m.Samples)
	got := errorsOf(&predict.Distribution{Mean: m.Latency.Mean, P50: 22 * unit, P90: 30 * unit, P99: 50 * unit}, m)
	if want := (Errors{Mean: 0, P50: 0.1, P90: -0.25, P99: 0.25}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := errorsOf(&predict.Distribution{P50: unit}, &Measurement{}); got != (Errors{}) {
		t.Errorf("nothing measured: %+v", got)
	}
}
