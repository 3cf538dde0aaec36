package systems

import (
	"fmt"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/plan/model"
)

// Target is a bound that the project has set itself, for one workflow.
type Target struct {
	Workflow string `json:"workflow"`
	What     string `json:"what"`
	// Limit and Have in the target's own unit: a ratio, a part, ms.
	Limit float64 `json:"limit"`
	Have  float64 `json:"have"`
	// AtLeast says that Have may not be less than Limit; else it may not be more.
	AtLeast bool   `json:"at_least,omitempty"`
	Unit    string `json:"unit,omitempty"`
	// Why a missed one is out of reach, or what the time went to.
	Why string `json:"why,omitempty"`

	timed bool // it is about how long requests take
}

// Met says whether it is.
func (t *Target) Met() bool {
	if t.AtLeast {
		return t.Have >= t.Limit
	}
	return t.Have <= t.Limit
}

// String is the target in a line, without its workflow.
func (t *Target) String() string {
	sign, verdict := "≤", "missed"
	if t.AtLeast {
		sign = "≥"
	}
	if t.Met() {
		verdict = "met"
	}
	return fmt.Sprintf("%s: %.2f%s of %s %.2f%s: %s", t.What, t.Have, t.Unit, sign, t.Limit, t.Unit, verdict)
}

// compared are the workflows that the targets are set for.
func compared() []string { return []string{"sn", "mr", "slapp", "slapp-v", "finra-5"} }

// What the targets ask.
const (
	ofFaastlane = 0.75 // of its latency
	ofOneToOne  = 0.5
	perCPUFaast = 2.0 // times its throughput per CPU
	perCPUOne   = 4.0
	memoryFaast = 0.8 // of its memory
	violations  = 0.01
	ownPath     = 1500 * time.Microsecond // of sn's four stages
	pathOf      = "sn"
)

// targets of the workflows that were measured.
func (r *Report) targets() []Target {
	var all []Target
	for i := range r.Workflows {
		w := &r.Workflows[i]
		chiron := w.chiron()
		if chiron == nil || !slices.Contains(compared(), w.Name) {
			continue
		}
		add := func(t Target) {
			t.Workflow = w.Name
			if !t.Met() && t.Why == "" {
				t.Why = w.why()
			}
			all = append(all, t)
		}
		faastlane, one := w.row(yardstick), w.row(string(model.OneToOne))
		if faastlane != nil {
			add(Target{timed: true, What: "latency of Faastlane's", Limit: ofFaastlane, Have: ratio(chiron.Median, faastlane.Median), Why: w.outOfReach(ofFaastlane, faastlane)})
		}
		if one != nil {
			add(Target{timed: true, What: "latency of one-to-one's", Limit: ofOneToOne, Have: ratio(chiron.Median, one.Median), Why: w.outOfReach(ofOneToOne, one)})
		}
		for _, o := range []struct {
			row   *Row
			name  string
			limit float64
		}{{faastlane, "Faastlane's", perCPUFaast}, {one, "one-to-one's", perCPUOne}} {
			if o.row == nil || o.row.Rate == 0 || chiron.Rate == 0 {
				continue
			}
			add(Target{What: "throughput per allocated CPU, times " + o.name, AtLeast: true, Limit: o.limit, Have: chiron.PerCPU / o.row.PerCPU, Why: w.work(chiron, o.row)})
			add(Target{What: "the same per CPU that is here", AtLeast: true, Limit: o.limit, Have: chiron.PerHad / o.row.PerHad, Why: w.work(chiron, o.row)})
		}
		if faastlane != nil && faastlane.Busy > 0 && chiron.Busy > 0 {
			add(Target{What: "memory of Faastlane's", Limit: memoryFaast, Have: float64(chiron.Busy) / float64(faastlane.Busy), Why: fmt.Sprintf(
				"%.1f MB in %d processes at rest and %.1f MB under requests, Faastlane's %.1f MB in %d and %.1f MB",
				mb(chiron.Rest), chiron.Live, mb(chiron.Busy), mb(faastlane.Rest), faastlane.Live, mb(faastlane.Busy),
			)})
		}
		add(Target{timed: true, What: "SLO violations", Unit: " %", Limit: 100 * violations, Have: 100 * chiron.Violations})
		if w.Name == pathOf && chiron.Path > 0 {
			add(Target{timed: true, What: "our own path", Unit: " ms", Limit: ms(ownPath), Have: ms(chiron.Path)})
		}
	}
	return all
}

// outOfReach says why no plan can meet a bound on latency, where none can.
func (w *Workflow) outOfReach(limit float64, other *Row) string {
	most := time.Duration(limit * float64(other.Median))
	if w.Bound <= most {
		return ""
	}
	return fmt.Sprintf("out of reach: the functions alone, on these CPUs, take %.1f ms, the target is %.1f ms", ms(w.Bound), ms(most))
}

// work says what a request costs of CPU time, which bounds the throughput of busy
// CPUs.
func (w *Workflow) work(chiron, other *Row) string {
	return fmt.Sprintf("a request takes %.1f ms of CPU time, %s's %.1f ms", ms(chiron.CPU), other.System, ms(other.CPU))
}

// why says what Chiron's time goes to: the median traced request.
func (w *Workflow) why() string {
	chiron := w.chiron()
	if chiron.median == nil {
		return ""
	}
	t := chiron.median
	return fmt.Sprintf("of the %.1f ms of a traced request, its functions ran in %.1f ms; alone on these CPUs they take %.1f ms",
		float64(t.Latency)/1e3, float64(t.Latency)/1e3-ms(t.path()), ms(w.Bound))
}

// ratio of two durations; 0 where there is nothing to divide by.
func ratio(a, b time.Duration) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

func mb(bytes int64) float64 { return float64(bytes) / 1e6 }
