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
// function, below Options.OutDir, whose contents are replaced; functions with the
// same file of requirements share one, those that require nothing have none.
// Options.Plan is not needed.
//
// Errors: *RequirementsError, or one line that names the function.
func Sites(ctx context.Context, o Options) (map[string]string, error) {
	sites := make(map[string]string)
	asking, err := requiring(o.Project)
	if err != nil || len(asking) == 0 {
		return sites, err
	}
	b, err := newBuilder(o)
	if err != nil {
		return nil, err
	}
	if err := removeAll(b.OutDir); err != nil {
		return nil, fmt.Errorf("install requirements: %w", err)
	}
	shared := make(map[[2]string]string) // by interpreter and file
	for i, f := range asking {
		if b.Progress != nil {
			b.Progress(Step{Index: i + 1, Of: len(asking), What: "install requirements of " + f.Name})
		}
		python, err := b.interpreter(ctx, f)
		if err != nil {
			return nil, err
		}
		key := [2]string{python.path, f.Requirements}
		site, ok := shared[key]
		if !ok {
			if site, err = b.site(ctx, python, f, filepath.Join(b.OutDir, fmt.Sprintf("site-%d", len(shared)+1))); err != nil {
				return nil, err
			}
			shared[key] = site
		}
		if site != "" {
			sites[f.Name] = site
		}
	}
	return sites, ctx.Err()
}

// requiring are the functions with a file of requirements that the workflow calls.
func requiring(p *workflow.Project) ([]*workflow.Function, error) {
	var all []*workflow.Function
	seen := make(map[string]bool)
	for _, t := range p.Definition.Tasks() {
		f := p.Functions[t.Function]
		if f == nil {
			return nil, fmt.Errorf("the project has no function %q, which state %q calls", t.Function, t.Name)
		}
		if f.Requirements != "" && !seen[f.Name] {
			seen[f.Name] = true
			all = append(all, f)
		}
	}
	return all, nil
}

// site installs what a function requires into a folder; empty: nothing.
func (b *builder) site(ctx context.Context, python interpreter, f *workflow.Function, to string) (string, error) {
	cached, err := b.requirements(ctx, python, []*workflow.Function{f})
	if err != nil || cached == "" {
		return "", err
	}
	if err := b.copySite(cached, to); err != nil {
		return "", fmt.Errorf("function %q: %w", f.Name, err)
	}
	return to, nil
}

// copySite copies installed requirements: what functions do to theirs is not to
// show in the cache.
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
