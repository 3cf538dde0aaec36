package openfaas

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/internal/openfaas"
)

// change brings a deployment's functions from what there is to what is asked for.
type change struct {
	target       *Target
	name, planID string
	before       map[string]openfaas.Status
	// made are functions that were not there, changed those that were.
	made, changed []string
}

// sureAnswers is how many times in a row wrap 1 has to answer with the new plan
// before it counts as changed: a cluster replaces replicas one after the other.
const sureAnswers = 3

// run does it: the other wraps, wrap 1, and then what is left of the plan before.
func (c *change) run(ctx context.Context, specs []openfaas.Deployment) error {
	t := c.target
	for _, spec := range specs[1:] {
		if err := c.put(ctx, spec); err != nil {
			return err
		}
	}
	for _, spec := range specs[1:] {
		if err := c.ready(ctx, spec); err != nil {
			return err
		}
	}
	if err := c.put(ctx, specs[0]); err != nil {
		return err
	}
	if err := c.ready(ctx, specs[0]); err != nil {
		return err
	}
	keep := make(map[string]bool)
	for _, spec := range specs {
		keep[spec.Service] = true
	}
	var old []string
	for name := range c.before {
		if !keep[name] {
			old = append(old, name)
		}
	}
	if len(old) == 0 {
		return nil
	}
	// From here on the new plan serves: what fails leaves something over, which the
	// next deployment removes.
	t.options.Progress("waiting for requests of the plan before")
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(t.options.Drain):
	}
	for _, name := range old {
		if err := t.client.Delete(ctx, name); err != nil {
			t.options.Progress(fmt.Sprintf("could not remove %s: %v; the next deployment does", name, err))
		}
	}
	return nil
}

// put deploys a function, or changes the one that is there, or leaves it where it
// is as asked for.
func (c *change) put(ctx context.Context, spec openfaas.Deployment) (err error) {
	t := c.target
	was, there := c.before[spec.Service]
	if there && same(was, spec) && was.AvailableReplicas > 0 {
		return nil
	}
	t.options.Progress("deploying " + spec.Service)
	// Noted before it is asked: who is interrupted does not know what became of it.
	if there {
		c.changed = append(c.changed, spec.Service)
		err = t.client.Update(ctx, spec)
	} else {
		c.made = append(c.made, spec.Service)
		err = t.client.Create(ctx, spec)
	}
	var refused *APIError
	if errors.As(err, &refused) && refused.Status >= http.StatusInternalServerError {
		return &deploy.StartError{Wrap: (*spec.Labels)[openfaas.LabelWrap], Message: err.Error()}
	}
	if err != nil {
		return fmt.Errorf("deploy %q: %w", c.name, err)
	}
	return nil
}

// ready waits until a function's replicas are there and run the new plan.
func (c *change) ready(ctx context.Context, spec openfaas.Deployment) error {
	t := c.target
	limited, cancel := context.WithTimeout(ctx, t.options.StartTimeout)
	defer cancel()
	sure := 0
	err := deploy.Poll(limited, pollEvery, func() (bool, error) {
		s, found, err := t.client.Function(limited, spec.Service)
		switch {
		case err != nil:
			return false, err
		case !found || s.AvailableReplicas == 0 || t.plan(limited, spec.Service) != c.planID:
			sure = 0
			return false, nil
		}
		sure++
		_, was := c.before[spec.Service]
		return !was || sure >= sureAnswers, nil
	})
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		what := fmt.Sprintf("it was not ready within %v", t.options.StartTimeout)
		if last := t.lastError(ctx, spec.Service); last != "" {
			what += ": " + last
		}
		return &deploy.StartError{Wrap: (*spec.Labels)[openfaas.LabelWrap], Message: what}
	}
	if err != nil {
		return fmt.Errorf("deploy %q: %w", c.name, err)
	}
	return nil
}

// undo removes what was made and puts back what was changed, wrap 1 first.
func (c *change) undo(ctx context.Context) error {
	var failures []error
	for _, name := range c.changed {
		if err := c.target.client.Update(ctx, specOf(c.before[name])); err != nil {
			failures = append(failures, fmt.Errorf("put %q back: %w", name, err))
		}
	}
	for i := len(c.made) - 1; i >= 0; i-- {
		if err := c.target.client.Delete(ctx, c.made[i]); err != nil {
			failures = append(failures, fmt.Errorf("remove %q: %w", c.made[i], err))
		}
	}
	if len(failures) > 0 {
		return fmt.Errorf("deploy %q: it is left half done; deploy again, or take it down: %w", c.name, errors.Join(failures...))
	}
	return nil
}

// specOf is what a function was deployed as.
func specOf(s openfaas.Status) openfaas.Deployment {
	return openfaas.Deployment{
		Service: s.Name, Image: s.Image, Namespace: s.Namespace, EnvProcess: s.EnvProcess, EnvVars: s.EnvVars, Constraints: s.Constraints,
		Secrets: s.Secrets, Labels: &s.Labels, Annotations: &s.Annotations, Limits: s.Limits, Requests: s.Requests, ReadOnlyRoot: s.ReadOnlyRoot,
	}
}

// same says whether a function is as asked for.
func same(was openfaas.Status, spec openfaas.Deployment) bool {
	is := specOf(was)
	is.Namespace = spec.Namespace
	return equal(is, spec)
}
