package pgp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/model"
)

// alternatives are the plans that a reader of the answer asks about next.
func (s *search) alternatives(ctx context.Context, chosen, fewer *candidate, last int) ([]Alternative, error) {
	var out []Alternative
	add := func(name string, p *plan.Plan) error {
		latency, err := s.predictor.Latency(p)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, Alternative{
			Name: name, Plan: p, Latency: latency, CPUs: p.CPUs(),
			Memory: p.MemoryEstimate(s.Profile), Meets: s.meets(latency),
		})
		return nil
	}
	if fewer != nil {
		if err := add(cpus(fewer.plan.CPUs()-chosen.plan.CPUs()), fewer.plan); err != nil {
			return nil, err
		}
	}
	if n := chosen.processes + 1; n <= last {
		more, _, err := s.processes(ctx, n)
		if err != nil {
			return nil, err
		}
		if err := add(cpus(more.plan.CPUs()-chosen.plan.CPUs()), more.plan); err != nil {
			return nil, err
		}
	}
	for _, m := range model.All() {
		p, err := model.Build(m, model.Input{Workflow: s.Workflow, Definition: s.Definition, Functions: s.Functions, Profile: s.Profile})
		if errors.Is(err, model.ErrConflict) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := add(string(m), p); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// cpus names an alternative by how many CPUs more it needs.
func cpus(more int) string {
	switch {
	case more == -1:
		return "one CPU fewer"
	case more < 0:
		return fmt.Sprintf("%d CPUs fewer", -more)
	case more == 1:
		return "one CPU more"
	default:
		return fmt.Sprintf("%d CPUs more", more)
	}
}

// Explain says in text of at most 100 columns why the plan was chosen and what
// else there is.
func (r *Result) Explain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Searched (%d predictions):\n", r.Evaluations)
	fmt.Fprintf(&b, "  %9s  %-5s  %5s  %4s  %12s\n", "processes", "mode", "wraps", "CPUs", "predicted")
	for _, s := range r.Steps {
		fmt.Fprintf(&b, "  %9d  %-5s  %5d  %4d  %9.2f ms  %s\n", s.Processes, s.Mode, s.Wraps, s.CPUs, ms(s.Latency), r.verdict(s.Meets))
	}
	fmt.Fprintf(&b, "\nChosen: %d CPUs in %d wraps, %.2f ms predicted", r.Plan.CPUs(), len(r.Plan.Wraps), ms(r.Prediction.Latency))
	switch {
	case r.SLO == 0:
		b.WriteString("; no SLO is set, so the fewest CPUs win.\n")
	case r.Met:
		fmt.Fprintf(&b, ": the fewest CPUs that meet %v.\n", r.SLO)
	default:
		fmt.Fprintf(&b, ": no plan meets %v, this is the fastest.\n", r.SLO)
	}
	b.WriteString("\nWhat else there is:\n")
	fmt.Fprintf(&b, "  %-16s  %4s  %12s  %9s\n", "plan", "CPUs", "predicted", "memory")
	for _, a := range r.Alternatives {
		fmt.Fprintf(&b, "  %-16s  %4d  %9.2f ms  %6.0f MB  %s\n", a.Name, a.CPUs, ms(a.Latency), float64(a.Memory)/1e6, r.verdict(a.Meets))
	}
	return b.String()
}

func (r *Result) verdict(meets bool) string {
	switch {
	case r.SLO == 0:
		return ""
	case meets:
		return "meets"
	default:
		return "misses"
	}
}

// ms is for text only.
func ms(d time.Duration) float64 { return float64(d) / 1e6 }
