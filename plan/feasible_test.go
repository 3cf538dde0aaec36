package plan

import (
	"errors"
	"testing"

	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
	"github.com/google/go-cmp/cmp"
)

func TestFeasible(t *testing.T) {
	d := definition(t, "A", "B", "C")
	functions := map[string]*workflow.Function{
		"first": {Name: "first", Lang: "python"}, "a": {Name: "a", Lang: "python", Packages: packages("x==1")},
		"b": {Name: "b", Lang: "python", Packages: packages("x==2")}, "c": {Name: "c", Lang: "python", Runtime: "3.9"},
	}
	measure := func(tasks ...string) *profile.Profile {
		p := &profile.Profile{}
		for i, task := range tasks {
			p.Functions = append(p.Functions, profile.Function{
				Name: map[string]string{"First": "first", "A": "a", "B": "b", "C": "c"}[task], Tasks: []string{task},
				Memory: held(10, 0, int64(i+1)*10, 0, 0),
			})
		}
		return p
	}
	all := measure("First", "A", "B", "C") // 20, 30, 40 and 50 MB alone, of which 10 are the host's
	for name, test := range map[string]struct {
		measured *profile.Profile
		rules    *workflow.Rules
		want     string
	}{
		"no rules": {all, nil, ""},
		"all well": {all, &workflow.Rules{
			Apart: []workflow.Rule{rule("First", "B")}, Together: []workflow.Rule{rule("First", "A")}, Limits: workflow.Limits{Memory: 50e6, Wraps: 3},
		}, ""},
		"no function": {measure("First", "B"), nil, `the profile lacks functions "a", "c": profile again`},
		"memory of one": {
			all, &workflow.Rules{Limits: workflow.Limits{Memory: 45e6}},
			`function "c" needs 50.0 MB, over the 45.0 MB that a wrap may have (limits: memory)`,
		},
		"memory of a group": {all, &workflow.Rules{Together: []workflow.Rule{rule("First", "B")}, Limits: workflow.Limits{Memory: 49e6 + 1e6}}, ""},
		"memory of a larger group": {
			all, &workflow.Rules{Together: []workflow.Rule{rule("First", "A"), rule("A", "First")}, Limits: workflow.Limits{Memory: 39e6}},
			`function "b" needs 40.0 MB, over the 39.0 MB that a wrap may have (limits: memory)
function "c" needs 50.0 MB, over the 39.0 MB that a wrap may have (limits: memory)
functions "a", "first", which are to be together, need 40.0 MB, over the 39.0 MB that a wrap may have (limits: memory)`,
		},
		"together and in conflict": {
			all, &workflow.Rules{Together: []workflow.Rule{rule("B", "A")}},
			`tasks "A" and "B" cannot be together: packages of functions "a" and "b": "x==1" and "x==2" cannot both be installed`,
		},
		"too few wraps": {
			all, &workflow.Rules{Limits: workflow.Limits{Wraps: 2}},
			`no two of tasks "A", "B", "C" may share a wrap: that takes 3, and the project allows 2 (limits: wraps)`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := Feasible(d, functions, test.measured, test.rules); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	var missing *MissingError
	if err := Feasible(d, functions, measure("A"), nil); !errors.As(err, &missing) || len(missing.Functions) != 3 {
		t.Errorf("got %v", err)
	}
}
