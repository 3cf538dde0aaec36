package bundle

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/chiron-faas/chiron/workflow"
)

// Sites installs what each function that the workflow calls requires, for itself,
// as a bundle that holds nothing else would have it. It returns the folders by
// function, below Options.OutDir, whose contents are replaced; functions that
// require the same share one, those that require nothing have none. Options.Plan
// is not needed.
//
// Errors: *RequirementsError, or one line that names the function.
func Sites(ctx context.Context, o Options) (map[string]string, error) {
	b, err := newBuilder(o)
	if err != nil {
		return nil, err
	}
	if err := removeAll(b.OutDir); err != nil {
		return nil, fmt.Errorf("install requirements: %w", err)
	}
	tasks := o.Project.Definition.Tasks()
	sites, copied := make(map[string]string), make(map[string]string)
	for i, t := range tasks {
		f := o.Project.Functions[t.Function]
		if f == nil {
			return nil, fmt.Errorf("the project has no function %q, which state %q calls", t.Function, t.Name)
		}
		if sites[f.Name] != "" || f.Requirements == "" {
			continue
		}
		if b.Progress != nil {
			b.Progress(Step{Index: i + 1, Of: len(tasks), What: "install requirements of " + f.Name})
		}
		python, err := b.interpreter(ctx, f)
		if err != nil {
			return nil, err
		}
		cached, err := b.requirements(ctx, python, []*workflow.Function{f})
		if err != nil {
			return nil, err
		}
		if cached == "" {
			continue
		}
		if copied[cached] == "" {
			to := filepath.Join(b.OutDir, fmt.Sprintf("site-%d", len(copied)+1))
			if err := b.copySite(cached, to); err != nil {
				return nil, fmt.Errorf("function %q: %w", f.Name, err)
			}
			copied[cached] = to
		}
		sites[f.Name] = copied[cached]
	}
	return sites, ctx.Err()
}

// copySite copies installed requirements: what a function does to its own is not
// to show in what others get.
func (b *builder) copySite(cached, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return fmt.Errorf("requirements: %w", err)
	}
	c := copier{root: cached, limits: b.Limits, all: true}
	if err := c.tree(cached, to); err != nil {
		return fmt.Errorf("requirements: %w", err)
	}
	return nil
}
