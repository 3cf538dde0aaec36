package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chiron-faas/chiron/deploy"
)

// ApplyManifests brings a revision up, in the place of what there is of the
// deployment's name, and waits until that is done. Where the revision does not come
// up it is removed again, and all of the deployment where nothing of it took requests
// before.
func (t *Target) ApplyManifests(ctx context.Context, m *Manifests) error {
	r := t.Rollout(m)
	before, err := r.Look(ctx)
	if err != nil {
		return fmt.Errorf("deploy %q: %w", m.Deployment, err)
	}
	t.options.Progress("applying the manifests of revision " + m.Revision)
	if err := r.bringUp(ctx, before); err != nil {
		// What is removed is not ctx's matter.
		patient, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.options.StartTimeout)
		defer cancel()
		return errors.Join(err, r.undo(patient, before))
	}
	if len(before.Others) == 0 {
		return nil
	}
	// What fails from here on leaves something over, which the next deployment removes.
	t.options.Progress("waiting for requests of the plan before")
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(t.options.Drain):
	}
	if err := t.removeAll(ctx, m.Deployment, m.Revision); err != nil {
		t.options.Progress(fmt.Sprintf("could not remove the plan before: %v; the next deployment does", err))
	}
	return nil
}

// bringUp has the revision take the requests, when it is ready.
func (r *Rollout) bringUp(ctx context.Context, before *Standing) error {
	if err := r.Apply(ctx, before); err != nil {
		return err
	}
	if err := r.ready(ctx); err != nil {
		return err
	}
	return r.Switch(ctx)
}

// ready waits until all wraps of the revision are ready.
func (r *Rollout) ready(ctx context.Context) error {
	t := r.target
	limited, cancel := context.WithTimeout(ctx, t.options.StartTimeout)
	defer cancel()
	var waits []Hindrance // what was last waited for
	// refused is since when no pod of a wrap is made.
	refused := make(map[string]time.Time)
	told := ""
	err := deploy.Poll(limited, pollEvery, func() (bool, error) {
		s, err := r.stand(limited)
		if err != nil {
			return false, err
		}
		waits = s.Waits
		still := make(map[string]time.Time)
		for _, h := range waits {
			if since, before := refused[h.Wrap]; h.refused && before {
				still[h.Wrap] = since
				h.Lasting = time.Since(since) > settled
			} else if h.refused {
				still[h.Wrap] = time.Now()
			}
			if h.Lasting {
				return false, &deploy.StartError{Wrap: h.Wrap, Message: t.reason(ctx, h)}
			}
		}
		refused = still
		text := "all wraps are ready"
		if len(waits) > 0 {
			text = waits[0].Wrap + ": " + waits[0].Message
		}
		if text != told {
			told = text
			t.options.Progress(text)
		}
		return len(waits) == 0, nil
	})
	if err == nil || ctx.Err() != nil || limited.Err() == nil || len(waits) == 0 {
		return err // that of the cluster, where it has not answered since
	}
	return &deploy.StartError{Wrap: waits[0].Wrap, Message: fmt.Sprintf("it was not ready within %v: %s", t.options.StartTimeout, t.reason(ctx, waits[0]))}
}

// undo removes the new revision, or all of the deployment where nothing of it took
// requests before.
func (r *Rollout) undo(ctx context.Context, before *Standing) error {
	if before.Serves == r.manifests.Revision {
		return nil // it still takes requests
	}
	if err := r.target.removeAll(ctx, r.manifests.Deployment, before.Serves); err != nil {
		return fmt.Errorf("deploy %q: it is left half done; deploy again, or take it down: %w", r.manifests.Deployment, err)
	}
	return nil
}
