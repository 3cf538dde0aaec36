package controller

import (
	"context"
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/chiron-faas/chiron/deploy/kubernetes/v1alpha1"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
)

// planner makes plans, and remembers the last answer to each Workflow: most
// reconciles ask for the same again.
type planner struct {
	mu    sync.Mutex
	known map[types.UID]answer // guarded by mu
}

// answer is a plan, or why there is none, by the digest of what it was asked for.
type answer struct {
	digest  string
	plan    *plan.Plan
	refusal *Refusal
}

func newPlanner() *planner { return &planner{known: make(map[types.UID]answer)} }

// plan returns the plan for a Workflow's inputs, and their digest. kept looks for one
// that was made of the same inputs before, by an earlier controller too. The error is
// a *Refusal where no plan can be. The caller must not change the plan.
func (p *planner) plan(ctx context.Context, id types.UID, in *inputs, kept func(digest string) (*plan.Plan, error)) (*plan.Plan, string, error) {
	digest, err := in.digest()
	if err != nil {
		return nil, "", err
	}
	p.mu.Lock()
	a, ok := p.known[id]
	p.mu.Unlock()
	if !ok || a.digest != digest {
		a = answer{digest: digest}
		before, err := kept(digest)
		if err != nil {
			return nil, "", err
		}
		if a.plan, err = in.plan(ctx, before); err != nil {
			var refused bool
			if a.refusal, refused = errors.AsType[*Refusal](err); !refused {
				return nil, "", err
			}
		}
		p.mu.Lock()
		p.known[id] = a
		p.mu.Unlock()
	}
	if a.refusal != nil {
		return nil, digest, a.refusal
	}
	return a.plan, digest, nil
}

// forget drops what is known of a Workflow that is gone.
func (p *planner) forget(id types.UID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, id)
}

// plan reads the files, and searches where there is no plan of them yet, or one that
// does not fit.
func (in *inputs) plan(ctx context.Context, kept *plan.Plan) (*plan.Plan, error) {
	measured, err := profile.Decode(in.profile)
	if err != nil {
		return nil, refuse(v1alpha1.ReasonProfileInvalid, "the profile: %v: make it with chiron profile of this version", err)
	}
	constants, err := predict.DecodeCalibration(in.calibration)
	if err != nil {
		return nil, refuse(v1alpha1.ReasonCalibrationInvalid, "the calibration: %v: make it with chiron calibrate of this version", err)
	}
	r := in.request
	if kept == nil || plan.Check(kept, r.definition, r.functions, &r.rules) != nil {
		return makePlan(ctx, r, measured, constants)
	}
	predictor, err := newPredictor(r, measured, constants)
	if err != nil {
		return nil, err
	}
	kept = kept.Clone() // pods need no objective, so none was kept
	kept.Objective, err = objective(r, predictor, kept)
	return kept, err
}
