package pipeline

import (
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/chiron-faas/chiron/internal/requirement"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// sequenceOf is a project of tasks one after the other, "Task=function", and the
// functions that they name.
func sequenceOf(t *testing.T, tasks ...string) *workflow.Project {
	t.Helper()
	p := &workflow.Project{Name: "seq", Functions: make(map[string]*workflow.Function)}
	var states []string
	var first string
	for i, text := range tasks {
		task, function, _ := strings.Cut(text, "=")
		end := `"End":true`
		if i+1 < len(tasks) {
			next, _, _ := strings.Cut(tasks[i+1], "=")
			end = fmt.Sprintf(`"Next":%q`, next)
		}
		if i == 0 {
			first = task
		}
		states = append(states, fmt.Sprintf(`%q:{"Type":"Task","Resource":%q,%s}`, task, function, end))
		p.Functions[function] = &workflow.Function{Name: function, Lang: "python"}
	}
	var err error
	p.Definition, err = workflow.ParseDefinition("seq", []byte(fmt.Sprintf(`{"StartAt":%q,"States":{%s}}`, first, strings.Join(states, ","))))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ruleOf(names ...string) workflow.Rule {
	var r workflow.Rule
	for _, name := range names {
		r.Members = append(r.Members, workflow.Member{Name: name, Tasks: []string{name}})
	}
	return r
}

// imageFunctions are the functions of each image, sorted.
func imageFunctions(p *workflow.Project, made *plan.Plan) [][]string {
	var all [][]string
	for i := range made.Wraps {
		var names []string
		for _, task := range made.Wraps[i].TaskNames() {
			state, _ := p.Definition.State(task)
			names = append(names, state.Function)
		}
		slices.Sort(names)
		all = append(all, slices.Compact(names))
	}
	return all
}

func TestImagePlan(t *testing.T) {
	lines := func(texts ...string) (all []requirement.Line) {
		for _, text := range texts {
			all = append(all, requirement.Line{Text: text})
		}
		return all
	}
	for name, c := range map[string]struct {
		change func(p *workflow.Project)
		want   [][]string
		fault  string
	}{
		"all together":    {func(*workflow.Project) {}, [][]string{{"a", "b", "c"}}, ""},
		"apart when run":  {func(p *workflow.Project) { p.Rules.Apart = []workflow.Rule{ruleOf("A", "B")} }, [][]string{{"a", "b", "c"}}, ""},
		"few wraps":       {func(p *workflow.Project) { p.Rules.Limits = workflow.Limits{CPUs: 1, Wraps: 1, Memory: 1 << 20} }, [][]string{{"a", "b", "c"}}, ""},
		"another runtime": {func(p *workflow.Project) { p.Functions["a"].Runtime = "3.9" }, [][]string{{"a"}, {"b", "c"}}, ""},
		"packages that clash": {
			func(p *workflow.Project) {
				p.Functions["a"].Packages, p.Functions["c"].Packages = lines("numpy<2"), lines("numpy==2.1")
			}, [][]string{{"a", "b"}, {"c"}}, "",
		},
		"packages that cannot be told": {
			func(p *workflow.Project) {
				p.Functions["a"].Packages, p.Functions["c"].Packages = lines("numpy<2"), lines("./lib")
			}, [][]string{{"a", "b"}, {"c"}}, "",
		},
		// Of two tasks of a function only one is vouched for; the image has both.
		"packages that the project vouches for": {
			func(p *workflow.Project) {
				p.Functions["a"].Packages, p.Functions["c"].Packages = lines("numpy<2"), lines("./lib")
				p.Rules.Together = []workflow.Rule{ruleOf("Again", "C")}
			}, [][]string{{"a", "b", "c"}}, "",
		},
		"a function in two images": {
			func(p *workflow.Project) {
				p.Functions["b"].Packages, p.Functions["c"].Packages = lines("numpy<2"), lines("numpy==2.1")
				p.Rules.Together = []workflow.Rule{ruleOf("A", "B"), ruleOf("Again", "C")}
			}, nil, `each in one image: tasks "B" and "C" cannot be together`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := sequenceOf(t, "A=a", "B=b", "Again=a", "C=c")
			c.change(p)
			of, made, err := ImagePlan(p)
			if c.fault != "" {
				if err == nil || !strings.Contains(err.Error(), c.fault) {
					t.Errorf("error %v, want %q in it", err, c.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, imageFunctions(of, made)); diff != "" {
				t.Errorf("images (-want +got):\n%s", diff)
			}
			// It is what can be built.
			if err := plan.Check(made, of.Definition, of.Functions, &of.Rules); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestImagePlanHasEachFunctionOnce, whatever the conflicts and the rules.
func TestImagePlanHasEachFunctionOnce(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	made := 0
	for range 300 {
		var tasks []string
		for i := range 3 + random.IntN(9) {
			tasks = append(tasks, fmt.Sprintf("T%d=f%d", i, random.IntN(6)))
		}
		p := sequenceOf(t, tasks...)
		for _, f := range p.Functions {
			f.Runtime = []string{"", "", "3.9"}[random.IntN(3)]
			f.Packages = []requirement.Line{{Text: []string{"numpy<2", "numpy==2.1", "./lib", "attrs"}[random.IntN(4)]}}
		}
		for range random.IntN(3) {
			pair := random.Perm(len(tasks))
			p.Rules.Together = append(p.Rules.Together, ruleOf(fmt.Sprintf("T%d", pair[0]), fmt.Sprintf("T%d", pair[1])))
		}
		of, images, err := ImagePlan(p)
		if err != nil {
			continue // these rules cannot be kept
		}
		made++
		in := make(map[string]int)
		for i, functions := range imageFunctions(of, images) {
			for _, f := range functions {
				if other, twice := in[f]; twice {
					t.Fatalf("function %q is in images %d and %d: %v, %v", f, other, i, tasks, imageFunctions(of, images))
				}
				in[f] = i
			}
		}
		for f := range p.Functions {
			if _, ok := in[f]; !ok {
				t.Fatalf("function %q is in no image", f)
			}
		}
	}
	if made < 100 {
		t.Errorf("only %d plans were made", made)
	}
}

// TestImagePlanBuilds: functions that the project wants apart are in one image, named
// by its digest.
func TestImagePlanBuilds(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	p := load(t, writeProject(t))
	var names []string
	for _, task := range p.Definition.Tasks() {
		names = append(names, task.Name)
	}
	p.Rules.Apart = []workflow.Rule{ruleOf(names[0], names[1])}
	of, made, err := ImagePlan(p)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	agent, base := agentAndBase(t)
	images, err := PushImages(t.Context(), BuildOptions{
		Project: of, Plan: made, Agents: []string{agent}, Base: base, Push: strings.TrimPrefix(server.URL, "http://") + "/team",
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(images.Bundles) != 1 || len(images.Bundles[0].Functions) != len(p.Functions) {
		t.Errorf("%d functions are in %+v", len(p.Functions), images.Bundles)
	}
	if reference := images.References["functions-1"]; !strings.Contains(reference, "-functions-1@sha256:") {
		t.Errorf("references %v", images.References)
	}
}
