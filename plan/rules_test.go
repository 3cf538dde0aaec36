package plan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/chiron-faas/chiron/internal/requirement"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
	"github.com/google/go-cmp/cmp"
)

func rule(names ...string) workflow.Rule {
	r := workflow.Rule{Pos: workflow.Position{File: "chiron.yaml", Line: 7, Column: 5}}
	for _, name := range names {
		r.Members = append(r.Members, workflow.Member{Name: name, Tasks: strings.Split(name, "+")})
	}
	return r
}

func packages(lines ...string) []requirement.Line {
	var out []requirement.Line
	for _, line := range lines {
		out = append(out, requirement.Line{Text: line})
	}
	return out
}

func TestCheckRules(t *testing.T) {
	d := definition(t, "A", "B", "C")
	functions := map[string]*workflow.Function{
		"first": {Name: "first", Lang: "python"}, "a": {Name: "a", Lang: "python", Packages: packages("numpy==1.26.4")},
		"b": {Name: "b", Lang: "python", Packages: packages("NumPy>=2")}, "c": {Name: "c", Lang: "python", Packages: packages("./lib")},
	}
	wraps := func(tasks ...string) *Plan {
		p := &Plan{}
		for i, list := range tasks {
			p.Wraps = append(p.Wraps, Wrap{Name: fmt.Sprintf("wrap-%d", i+1), CPUs: 2, Memory: 64 << 20, Processes: []Process{pool(strings.Fields(list)...)}})
		}
		return p
	}
	for name, test := range map[string]struct {
		plan  *Plan
		rules workflow.Rules
		want  []string
	}{
		"kept": {
			wraps("First A", "B", "C"),
			workflow.Rules{
				Apart: []workflow.Rule{rule("A", "B"), rule("First", "C")}, Together: []workflow.Rule{rule("First", "A")},
				Limits: workflow.Limits{Memory: 64 << 20, CPUs: 2, Wraps: 3},
			},
			nil,
		},
		"packages": {
			wraps("First", "A B", "C"),
			workflow.Rules{},
			[]string{`wrap "wrap-2": tasks "A" and "B" may not share a wrap: packages of functions "a" and "b": "numpy==1.26.4" and "NumPy>=2" cannot both be installed`},
		},
		"packages that cannot be told": {
			wraps("First", "A C", "B"),
			workflow.Rules{},
			[]string{`tasks "A" and "C" may not share a wrap: packages of functions "a" and "c": it cannot be told which package "./lib" is`},
		},
		"packages that the project vouches for": {wraps("First", "A C", "B"), workflow.Rules{Together: []workflow.Rule{rule("A", "C")}}, nil},
		"apart": {
			wraps("First A", "B", "C"),
			workflow.Rules{Apart: []workflow.Rule{rule("First", "A")}},
			[]string{`wrap "wrap-1": tasks "First" and "A" may not share a wrap: the project wants "First" and "A" apart (chiron.yaml:7:5)`},
		},
		"a function apart from its neighbour": {
			wraps("First A", "B", "C"),
			workflow.Rules{Apart: []workflow.Rule{rule("First+C", "A+B")}},
			[]string{`the project wants "First" and "A" apart`},
		},
		"together": {
			wraps("First", "A", "B", "C"),
			workflow.Rules{Together: []workflow.Rule{rule("First", "A"), rule("A", "C")}},
			[]string{`the project wants tasks "First" and "A" together: they are in wraps "wrap-1" and "wrap-2"`},
		},
		"limits": {
			wraps("First A", "B", "C"),
			workflow.Rules{Limits: workflow.Limits{Memory: 32 << 20, CPUs: 1, Wraps: 2}},
			[]string{
				"the plan has 3 wraps, the project allows 2", `wrap "wrap-1" has 2 CPUs, the project allows a wrap 1`,
				`wrap "wrap-3" may take 67108864 bytes of memory, the project allows a wrap 33554432`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := Check(test.plan, d, functions, &test.rules)
			if len(test.want) == 0 && err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, which does not say %q", err, want)
				}
			}
		})
	}
}

func TestWithinMemory(t *testing.T) {
	measured := &profile.Profile{Functions: []profile.Function{
		{Name: "a", Tasks: []string{"A"}, Memory: held(10, 0, 20, 0, 0)}, {Name: "b", Tasks: []string{"B"}, Memory: held(10, 0, 15, 0, 0)},
	}}
	p := &Plan{Wraps: []Wrap{{Name: "w", CPUs: 1, Processes: []Process{pool("A", "B")}}}}
	if err := p.Within(workflow.Limits{Memory: 45e6}, measured); err != nil {
		t.Error(err)
	}
	if err := p.Within(workflow.Limits{Memory: 44e6}, measured); err == nil || !strings.Contains(err.Error(), `wrap "w" needs about 45.0 MB of memory, the project allows a wrap 44.0 MB`) {
		t.Errorf("got %v", err)
	}
}

func TestContradiction(t *testing.T) {
	d := definition(t, "A", "B", "C")
	functions := map[string]*workflow.Function{
		"first": {Name: "first", Lang: "python"}, "a": {Name: "a", Lang: "python", Runtime: "3.9"},
		"b": {Name: "b", Lang: "python"}, "c": {Name: "c", Lang: "python", Packages: packages("./lib")},
	}
	rules := &workflow.Rules{Together: []workflow.Rule{rule("B", "C"), rule("First", "B")}}
	if err := NewConflicts(d, functions, nil, rules).Contradiction(); err != nil {
		t.Error(err)
	}
	rules.Together = append(rules.Together, rule("C", "A"))
	c := NewConflicts(d, functions, nil, rules)
	if diff := cmp.Diff([][]string{{"First", "A", "B", "C"}}, c.Together()); diff != "" {
		t.Error(diff)
	}
	want := `tasks "First" and "A" cannot be together: function "first" needs python (the machine's default), function "a" needs python 3.9`
	if err := c.Contradiction(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestGroupsKeepEveryRule: whatever the conflicts and rules, the groups hold
// every task once, no two tasks in conflict, and those together that are to be.
func TestGroupsKeepEveryRule(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var names []string
		functions := map[string]*workflow.Function{"first": {Name: "first", Lang: "python"}}
		for i := range 2 + random.IntN(10) {
			name := fmt.Sprintf("T%d", i)
			names = append(names, name)
			f := &workflow.Function{Name: strings.ToLower(name), Lang: "python", Runtime: []string{"", "", "3.9"}[random.IntN(3)]}
			switch random.IntN(4) {
			case 0:
				f.Packages = packages("numpy<2")
			case 1:
				f.Packages = packages("numpy==2.1")
			}
			functions[f.Name] = f
		}
		d := definition(t, names...)
		rules := &workflow.Rules{}
		for range random.IntN(4) {
			pair := random.Perm(len(names))
			r := rule(names[pair[0]], names[pair[1]])
			if random.IntN(2) == 0 {
				rules.Apart = append(rules.Apart, r)
			} else {
				rules.Together = append(rules.Together, r)
			}
		}
		c := NewConflicts(d, functions, nil, rules)
		all := append([]string{"First"}, names...)
		groups := c.Groups(all)
		var placed []string
		in := map[string]int{}
		for i, group := range groups {
			placed = append(placed, group...)
			for k, a := range group {
				in[a] = i
				for _, b := range group[:k] {
					if why := c.Between(a, b); why != "" && !(c.Contradiction() != nil && c.joined(a, b)) {
						t.Errorf("%s and %s share a group: %s", a, b, why)
					}
				}
			}
		}
		slices.Sort(placed)
		slices.Sort(all)
		if diff := cmp.Diff(all, placed); diff != "" {
			t.Fatalf("tasks (-want +got):\n%s", diff)
		}
		for _, group := range c.Together() {
			for _, task := range group {
				if in[task] != in[group[0]] {
					t.Errorf("%s and %s are to be together", task, group[0])
				}
			}
		}
	}
}

// BenchmarkConflicts of a thousand tasks of twenty functions.
func BenchmarkConflicts(b *testing.B) {
	var names []string
	functions := map[string]*workflow.Function{"first": {Name: "first", Lang: "python"}}
	for i := range 1000 {
		names = append(names, fmt.Sprintf("T%d", i))
		functions[fmt.Sprintf("t%d", i)] = &workflow.Function{Name: fmt.Sprintf("t%d", i), Lang: "python", Packages: packages(fmt.Sprintf("numpy>=1.%d", i%20))}
	}
	d := definition(b, names...)
	b.ResetTimer()
	for b.Loop() {
		c := NewConflicts(d, functions, nil, nil)
		if groups := c.Groups(names); len(groups) != 1 {
			b.Fatal(len(groups))
		}
	}
}
