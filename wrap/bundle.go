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

// bundle is a bundle folder, read and checked against itself, and the plan that is
// run with it: its own or another folder's (Options.PlanDir). Its form is
// plan.Manifest's.
type bundle struct {
	dir string // absolute
	// source names in messages where the plan is from.
	source     string
	manifest   *plan.Manifest
	plan       *plan.Plan
	definition *workflow.Definition
	// wrap is the index in plan.Wraps of the wrap that this bundle is.
	wrap int
}

func readBundle(o Options) (*bundle, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("bundle folder: %w", err)
	}
	b := &bundle{dir: dir, source: "bundle " + dir}
	if b.manifest, err = plan.ReadManifest(filepath.Join(dir, plan.ManifestFile)); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%s is no bundle folder: it has no wrap.json: %w", dir, err)
		}
		return nil, err
	}
	if o.PlanDir != "" || o.Wrap != "" {
		if err := b.assign(o.PlanDir, o.Wrap); err != nil {
			return nil, err
		}
		return b, b.check()
	}
	if b.plan, b.definition, err = readPlan(dir); err != nil {
		return nil, err
	}
	return b, b.check()
}

func readPlan(dir string) (*plan.Plan, *workflow.Definition, error) {
	p, err := plan.Read(filepath.Join(dir, plan.PlanFile))
	if err != nil {
		return nil, nil, err
	}
	file := filepath.Join(dir, plan.DefinitionFile)
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("read the plan's definition: %w", err)
	}
	d, err := workflow.ParseDefinition(file, data)
	return p, d, err
}

// check finds what would otherwise fail in the middle of a request.
func (b *bundle) check() error {
	b.wrap = -1
	for i := range b.plan.Wraps {
		if b.plan.Wraps[i].Name == b.manifest.Wrap {
			b.wrap = i
		}
	}
	if b.wrap < 0 {
		return fmt.Errorf("bundle %s: its manifest says that it is wrap %q, which its plan does not have: build the bundle again", b.dir, b.manifest.Wrap)
	}
	if b.manifest.PlanID == "" {
		return fmt.Errorf("bundle %s: its manifest names no planID: build the bundle again", b.dir)
	}
	known := make(map[string]bool)
	for i := range b.manifest.Functions {
		f := &b.manifest.Functions[i]
		known[f.Name] = true
		if !filepath.IsLocal(f.File) {
			return fmt.Errorf("bundle %s: function %q: file %q lies outside the bundle: build the bundle again", b.dir, f.Name, f.File)
		}
	}
	placed := make(map[string]bool)
	for w := range b.plan.Wraps {
		for _, p := range b.plan.Wraps[w].Processes {
			if !slices.Contains(plan.Modes(), p.Mode) {
				return fmt.Errorf("%s: wrap %q has a process of mode %q: this agent knows %q", b.source, b.plan.Wraps[w].Name, p.Mode, plan.Modes())
			}
			for _, task := range p.Tasks {
				if placed[task] {
					return fmt.Errorf("%s: the plan places task %q twice: plan again", b.source, task)
				}
				placed[task] = true
				state, ok := b.definition.State(task)
				if !ok || state.Type != workflow.Task {
					return fmt.Errorf("%s: the plan places %q, which is no Task of the definition: plan again", b.source, task)
				}
				if w == b.wrap && !known[state.Function] {
					return fmt.Errorf("%s: task %q calls function %q, which the manifest does not have: build the bundle again", b.source, task, state.Function)
				}
			}
		}
	}
	var missing []string
	for _, s := range b.definition.Tasks() {
		if !placed[s.Name] {
			missing = append(missing, s.Name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s: the plan places no task %s: plan again", b.source, strings.Join(missing, ", "))
	}
	return nil
}
