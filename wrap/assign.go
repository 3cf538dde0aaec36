package wrap

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// assign gives the bundle a wrap of the plan in a folder instead of its own. The
// bundle's functions are all that it may run, and those that the wrap runs are all
// that are left of them: no other is imported.
func (b *bundle) assign(dir, wrap string) error {
	if dir == "" || wrap == "" {
		return errors.New("a plan's folder and a wrap of the plan are given together, or neither")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("plan folder: %w", err)
	}
	b.source = "plan folder " + dir
	if b.plan, b.definition, err = readPlanFolder(dir); err != nil {
		return err
	}
	at := slices.IndexFunc(b.plan.Wraps, func(w plan.Wrap) bool { return w.Name == wrap })
	if at < 0 {
		var names []string
		for i := range b.plan.Wraps {
			names = append(names, b.plan.Wraps[i].Name)
		}
		return fmt.Errorf("%s: the plan has no wrap %q: choose one of %s", b.source, wrap, strings.Join(names, ", "))
	}
	m := *b.manifest
	// How many requests at once is the new plan's matter.
	m.PlanID, m.Wrap, m.Functions, m.Concurrency = b.plan.Digest(), wrap, nil, 0
	for _, task := range b.plan.Wraps[at].TaskNames() {
		state, ok := b.definition.State(task)
		if !ok || state.Type != workflow.Task {
			continue // check says so
		}
		named := func(f plan.ManifestFunction) bool { return f.Name == state.Function }
		if slices.ContainsFunc(m.Functions, named) {
			continue
		}
		i := slices.IndexFunc(b.manifest.Functions, named)
		if i < 0 {
			return fmt.Errorf("%s: wrap %q runs task %q, whose function %q is not in bundle %s, which has %s: run the wrap from an image with that function, or plan with it in another wrap",
				b.source, wrap, task, state.Function, b.dir, holds(b.manifest))
		}
		m.Functions = append(m.Functions, b.manifest.Functions[i])
	}
	b.manifest = &m
	return nil
}

// holds says what a bundle has: "a, b for python 3.12".
func holds(m *plan.Manifest) string {
	var names []string
	for i := range m.Functions {
		names = append(names, m.Functions[i].Name)
	}
	return strings.Join(names, ", ") + " for " + strings.TrimSpace(m.Lang+" "+m.Runtime)
}

func readPlanFolder(dir string) (*plan.Plan, *workflow.Definition, error) {
	const give = "give the folder that has " + plan.PlanFile + " and " + plan.DefinitionFile
	switch info, err := os.Stat(dir); {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil, fmt.Errorf("there is no plan folder %s: %s", dir, give)
	case err != nil:
		return nil, nil, fmt.Errorf("plan folder: %w", err)
	case !info.IsDir():
		return nil, nil, fmt.Errorf("%s is no plan folder, but a file: %s", dir, give)
	}
	for _, name := range []string{plan.PlanFile, plan.DefinitionFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); errors.Is(err, os.ErrNotExist) {
			return nil, nil, fmt.Errorf("plan folder %s has no %s: %s", dir, name, give)
		}
	}
	return readPlan(dir)
}
