package deploy

import (
	"errors"
	"strings"
	"testing"

	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/plan"
)

func TestCheck(t *testing.T) {
	pl := &plan.Plan{Workflow: "w", Model: "m"}
	for _, name := range []string{"wrap-1", "wrap-2"} {
		pl.Wraps = append(pl.Wraps, plan.Wrap{Name: name, CPUs: 1, Processes: []plan.Process{{Mode: plan.Pool, CPU: plan.Unpinned, Tasks: []string{name}}}})
	}
	id := pl.Digest()
	if id == "" {
		t.Fatal("the plan has no digest")
	}
	one, two := bundle.Bundle{Wrap: "wrap-1", PlanID: id}, bundle.Bundle{Wrap: "wrap-2", PlanID: id}
	tests := []struct {
		name    string
		d       Deployment
		problem string
	}{
		{"any order", Deployment{Name: "a", Plan: pl, Bundles: []bundle.Bundle{two, one}}, ""},
		{"name with a slash", Deployment{Name: "a/b", Plan: pl, Bundles: []bundle.Bundle{one, two}}, "deployment name"},
		{"no name", Deployment{Plan: pl, Bundles: []bundle.Bundle{one, two}}, "deployment name"},
		{"no plan", Deployment{Name: "a"}, "no plan"},
		{"bundle missing", Deployment{Name: "a", Plan: pl, Bundles: []bundle.Bundle{one}}, `no bundle of wrap "wrap-2"`},
		{"bundle twice", Deployment{Name: "a", Plan: pl, Bundles: []bundle.Bundle{one, one}}, "two bundles"},
		{"bundle too many", Deployment{Name: "a", Plan: pl, Bundles: []bundle.Bundle{one, two, {Wrap: "x", PlanID: id}}}, `wrap "x", which the plan does not have`},
		{"another plan", Deployment{Name: "a", Plan: pl, Bundles: []bundle.Bundle{one, {Wrap: "wrap-2", PlanID: "0"}}}, "another plan"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ordered, err := tt.d.Check()
			switch {
			case tt.problem != "":
				if err == nil || !strings.Contains(err.Error(), tt.problem) {
					t.Errorf("got %v, want %q", err, tt.problem)
				}
			case err != nil:
				t.Error(err)
			case ordered[0].Wrap != "wrap-1" || ordered[1].Wrap != "wrap-2":
				t.Errorf("order %v", ordered)
			}
		})
	}
}

func TestCheckName(t *testing.T) {
	for name, good := range map[string]bool{
		"a": true, "finra-5": true, strings.Repeat("a", 63): true,
		"": false, "..": false, "a/b": false, "A": false, "-a": false, strings.Repeat("a", 64): false,
	} {
		if err := CheckName(name); (err == nil) != good || (!good && !errors.Is(err, ErrNotFound)) {
			t.Errorf("CheckName(%q) = %v", name, err)
		}
	}
}
