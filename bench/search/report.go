package search

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/bench/serving"
	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// Report of an experiment.
type Report struct {
	Machine   profile.Machine `json:"machine"`
	Rounds    int             `json:"rounds"`
	Seed      int64           `json:"seed"`
	Workflows []Workflow      `json:"workflows"`
}

// Workflow is one under one SLO.
type Workflow struct {
	Name       string          `json:"name"`
	SLO        pipeline.Millis `json:"slo_ms"`
	Percentile float64         `json:"percentile"` // 0: the mean
	Plans      []*contender    `json:"plans"`
	// Holds says that what the search claims was found: the chosen plan meets the
	// SLO, the smaller one does not, no random one is faster. Why has a line for
	// each of the three.
	Holds bool     `json:"holds"`
	Why   []string `json:"why"`
}

// The names of contenders that are not random.
const (
	Chosen  = "chosen"
	Smaller = "one CPU fewer"
)

// contender is a plan that is measured.
type contender struct {
	Name      string          `json:"name"`
	CPUs      int             `json:"cpus"`
	Wraps     int             `json:"wraps"`
	Processes int             `json:"processes"`
	Predicted pipeline.Millis `json:"predicted_ms"` // at the percentile
	Measured  pipeline.Millis `json:"measured_ms"`  // at the percentile
	Mean      pipeline.Millis `json:"mean_ms"`
	// Slower is by how much its requests took longer than the chosen plan's in the
	// same round, on average, and Error the standard error of that.
	Slower pipeline.Millis `json:"slower_ms"`
	Error  pipeline.Millis `json:"standard_error_ms"`
	Meets  bool            `json:"slo_met"`

	plan   *plan.Plan
	served *serving.Served
	took   []time.Duration // by round
	last   time.Duration
}

// noise is how many standard errors a difference has to exceed to count.
const noise = 3

// judge says whether what the search claims holds. The first plan is the chosen.
func judge(name string, slo workflow.SLO, all []*contender) *Workflow {
	w := &Workflow{Name: name, SLO: pipeline.Millis(slo.Latency), Percentile: slo.Percentile, Plans: all, Holds: true}
	chosen := all[0]
	objective, mean := pipeline.Objective{Percentile: slo.Percentile}, pipeline.Objective{}
	for _, c := range all {
		c.Mean, c.Measured = pipeline.Millis(mean.Of(c.took)), pipeline.Millis(objective.Of(c.took))
		c.Meets = time.Duration(c.Measured) <= slo.Latency
		c.Slower, c.Error = paired(c.took, chosen.took)
	}
	say := func(holds bool, format string, args ...any) {
		w.Holds = w.Holds && holds
		w.Why = append(w.Why, fmt.Sprintf(format, args...))
	}
	if chosen.Meets {
		say(true, "the chosen plan meets the SLO")
	} else {
		say(false, "the chosen plan misses the SLO by %.2f ms", ms(chosen.Measured-w.SLO))
	}
	switch i := slices.IndexFunc(all, func(c *contender) bool { return c.Name == Smaller }); {
	case chosen.CPUs == 1:
		say(true, "no plan has fewer CPUs")
	case i < 0:
		say(true, "there is no plan with a CPU fewer")
	case !all[i].Meets:
		say(true, "with a CPU fewer the SLO is missed by %.2f ms", ms(all[i].Measured-w.SLO))
	default:
		say(false, "with a CPU fewer the SLO is met too: %.2f ms, where %.2f were predicted", ms(all[i].Measured), ms(all[i].Predicted))
	}
	var faster []string
	random := 0
	for _, c := range all[1:] {
		if c.Name == Smaller {
			continue
		}
		random++
		if c.Slower < -noise*c.Error {
			faster = append(faster, fmt.Sprintf("%s by %.2f ms", c.Name, -ms(c.Slower)))
		}
	}
	switch {
	case random == 0:
		say(true, "there is no other plan of as many CPUs")
	case faster == nil:
		say(true, "none of %d random plans of as many CPUs is faster by more than the noise", random)
	default:
		say(false, "faster than the chosen plan: %s", strings.Join(faster, ", "))
	}
	return w
}

func ms(m pipeline.Millis) float64 { return float64(m) / 1e6 }

// paired is the mean difference of what was measured in the same rounds, and its
// standard error.
func paired(a, b []time.Duration) (difference, standardError pipeline.Millis) {
	n := float64(len(a))
	if n < 2 {
		return 0, 0
	}
	var sum float64
	for i := range a {
		sum += float64(a[i] - b[i])
	}
	average := sum / n
	var squares float64
	for i := range a {
		off := float64(a[i]-b[i]) - average
		squares += off * off
	}
	return pipeline.Millis(average), pipeline.Millis(math.Sqrt(squares / (n - 1) / n))
}

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "The search against real runs: %d requests of each plan, by turns\n", r.Rounds)
	for i := range r.Workflows {
		one := &r.Workflows[i]
		fmt.Fprintf(&b, "\n%s, SLO %.1f ms (%s)\n", one.Name, ms(one.SLO), plan.AtPercentile(one.Percentile))
		fmt.Fprintf(&b, "  %-14s %4s %5s %9s  %9s %9s %9s  %16s  %s\n", "plan", "CPUs", "wraps", "processes", "predicted", "measured", "mean", "slower by", "SLO")
		for _, c := range one.Plans {
			verdict := "missed"
			if c.Meets {
				verdict = "met"
			}
			slower := fmt.Sprintf("%.2f ± %.2f", ms(c.Slower), ms(c.Error))
			if c.Name == Chosen {
				slower = ""
			}
			fmt.Fprintf(&b, "  %-14s %4d %5d %9d  %9.2f %9.2f %9.2f  %16s  %s\n",
				c.Name, c.CPUs, c.Wraps, c.Processes, ms(c.Predicted), ms(c.Measured), ms(c.Mean), slower, verdict)
		}
		for _, why := range one.Why {
			fmt.Fprintf(&b, "  %s\n", why)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
