package pgp

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/workflow"
)

// TestLimits: the search keeps what a wrap may have, and finds the plan that does.
func TestLimits(t *testing.T) {
	four := predicttest.Par{"a", "b", "c", "d"}
	compute := "a: cpu 30, b: cpu 30, c: cpu 30, d: cpu 30"
	const mb = 1_000_000
	for _, c := range []struct {
		name   string
		limits workflow.Limits
		want   string
	}{
		// Resident in one wrap: 30. With two CPUs a wrap: 30 + 20 + 4 in the second.
		{"CPUs", workflow.Limits{CPUs: 2}, `
├─ wrap-1 · 2 CPUs
│  ├─ pool on CPU 0 · a
│  └─ pool on CPU 1 · b
└─ wrap-2 · 2 CPUs
   ├─ pool on CPU 0 · c
   └─ pool on CPU 1 · d`},
		// A host of 10 and 5 for each function's import: two functions a wrap.
		{"memory", workflow.Limits{Memory: 20 * mb}, `
├─ wrap-1 · 2 CPUs
│  ├─ pool on CPU 0 · a
│  └─ pool on CPU 1 · b
└─ wrap-2 · 2 CPUs
   ├─ pool on CPU 0 · c
   └─ pool on CPU 1 · d`},
		// Two a process' wrap: 60 in the one wrap that may be.
		{"wraps and CPUs", workflow.Limits{Wraps: 1, CPUs: 2}, `
└─ wrap-1 · 2 CPUs
   ├─ pool on CPU 0 · a, c
   └─ pool on CPU 1 · b, d`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := problem(t, four, compute, 55*msec)
			for i := range p.Profile.Functions {
				f := &p.Profile.Functions[i]
				f.Name = fmt.Sprintf("f%d", i)
				f.Memory.Host.RSS, f.Memory.Imports.RSS = 10*mb, 5*mb
			}
			for i, s := range p.Definition.Tasks() {
				s.Function = fmt.Sprintf("f%d", i)
			}
			p.Rules = &workflow.Rules{Limits: c.limits}
			r, err := Search(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			_, tree, _ := strings.Cut(r.Plan.Tree(100), "\n")
			if strings.TrimSpace(tree) != strings.TrimSpace(c.want) {
				t.Errorf("plan:\n%s\nwant:%s", tree, c.want)
			}
		})
	}
}

// TestLimitsProperties: whatever the rules, a plan keeps them, or the error says
// which of them cannot be.
func TestLimitsProperties(t *testing.T) {
	plans := 0
	for seed := range cases(40, 20) {
		r := rand.New(rand.NewPCG(seed, 23))
		p := randomProblem(t, r)
		for i := range p.Profile.Functions {
			m := &p.Profile.Functions[i].Memory
			m.Host.RSS, m.Imports.RSS, m.Worker.Private, m.Calls.Private = 10, r.Int64N(10), r.Int64N(5), r.Int64N(5)
		}
		rules := &workflow.Rules{}
		if r.IntN(2) == 0 {
			rules.Limits.CPUs = 1 + r.IntN(3)
		}
		if r.IntN(2) == 0 {
			rules.Limits.Memory = 20 + r.Int64N(60)
		}
		if r.IntN(3) == 0 {
			rules.Limits.Wraps = 1 + r.IntN(3)
		}
		if tasks := p.Definition.Tasks(); len(tasks) > 3 && r.IntN(2) == 0 {
			pick := func() workflow.Rule {
				i := r.IntN(len(tasks) - 1)
				return workflow.Rule{Members: []workflow.Member{
					{Name: tasks[i].Name, Tasks: []string{tasks[i].Name}}, {Name: tasks[i+1].Name, Tasks: []string{tasks[i+1].Name}},
				}}
			}
			rules.Together = append(rules.Together, pick())
			if r.IntN(2) == 0 {
				rules.Apart = append(rules.Apart, pick())
			}
		}
		p.Rules = rules
		if plan.Feasible(p.Definition, p.Functions, p.Profile, rules) != nil {
			continue
		}
		found, err := Search(t.Context(), p)
		if err != nil {
			if !strings.Contains(err.Error(), "limits") {
				t.Errorf("seed %d: %v", seed, err)
			}
			continue
		}
		plans++
		if err := plan.Check(found.Plan, p.Definition, p.Functions, rules); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		if err := found.Plan.Within(rules.Limits, p.Profile); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		if err := found.Plan.Apart(plan.NewConflicts(p.Definition, p.Functions, p.Profile, rules)); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
	if plans < 15 {
		t.Errorf("only %d plans", plans)
	}
}

// TestGroupsShareTheWork: functions of two runtimes may not share a wrap, and
// each half still gets the processes that it needs.
func TestGroupsShareTheWork(t *testing.T) {
	var g predicttest.Par
	var behaviour []string
	for i := range 12 {
		g = append(g, fmt.Sprintf("t%d", i))
		behaviour = append(behaviour, fmt.Sprintf("t%d: cpu 20", i))
	}
	p := problem(t, g, strings.Join(behaviour, ", "), 100*msec)
	p.Functions = map[string]*workflow.Function{"old": {Name: "old", Lang: "python", Runtime: "3.9"}, "new": {Name: "new", Lang: "python", Runtime: "3.12"}}
	for i, s := range p.Definition.Tasks() {
		s.Function = []string{"old", "new"}[i%2]
	}
	for i := range p.Profile.Functions {
		p.Profile.Functions[i].Name = []string{"old", "new"}[i%2]
	}
	r, err := Search(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	// Each has 120 of work: two processes of 60, and 24 for the call of the second.
	if !r.Met || r.Plan.CPUs() != 4 || r.Prediction.Latency > 100*msec {
		t.Errorf("met %v on %d CPUs, %v:\n%s", r.Met, r.Plan.CPUs(), r.Prediction.Latency, r.Plan.Tree(100))
	}
}
