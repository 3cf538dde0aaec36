package pipeline

import (
	"fmt"
	"slices"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// ImagePlan is a plan for images whose functions are placed later, by another plan
// (wrap.Options.PlanDir): a wrap for each group of functions that can be installed
// together, as few as plan.Conflicts.Groups finds. Each function is in one of them.
//
// The project that is returned is p with what the plan keeps of its rules, for who
// builds it: what is apart while it runs, because the project says so or because it
// writes the same file, may well be in one image.
func ImagePlan(p *workflow.Project) (*workflow.Project, *plan.Plan, error) {
	of := *p
	of.Rules = workflow.Rules{Together: installedTogether(p)}
	conflicts := plan.NewConflicts(of.Definition, of.Functions, nil, &of.Rules)
	if err := conflicts.Contradiction(); err != nil {
		return nil, nil, fmt.Errorf("images of functions: those that the project wants together, each in one image: %w", err)
	}
	var tasks []string
	for _, t := range of.Definition.Tasks() {
		tasks = append(tasks, t.Name)
	}
	made := &plan.Plan{Workflow: p.Name, Model: "images"}
	for i, group := range conflicts.Groups(tasks) {
		made.Wraps = append(made.Wraps, plan.Wrap{
			// Not "wrap-1": an image of that name is a plan's.
			Name: fmt.Sprintf("functions-%d", i+1), CPUs: 1,
			Processes: []plan.Process{{Mode: plan.Pool, CPU: plan.Unpinned, Tasks: group}},
		})
	}
	return &of, made, plan.Check(made, of.Definition, of.Functions, &of.Rules)
}

// installedTogether are the project's rules of what is together, with all tasks of
// their functions: an image has the whole function. They vouch for packages of which
// it cannot be told whether they go together.
func installedTogether(p *workflow.Project) []workflow.Rule {
	var rules []workflow.Rule
	for _, r := range p.Rules.Together {
		var functions []string
		for _, m := range r.Members {
			for _, name := range m.Tasks {
				if t, ok := p.Definition.State(name); ok {
					functions = append(functions, t.Function)
				}
			}
		}
		whole := workflow.Rule{Pos: r.Pos}
		for _, t := range p.Definition.Tasks() {
			if slices.Contains(functions, t.Function) {
				whole.Members = append(whole.Members, workflow.Member{Name: t.Name, Tasks: []string{t.Name}, Pos: r.Pos})
			}
		}
		rules = append(rules, whole)
	}
	return rules
}
