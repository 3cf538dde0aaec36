package pgp

import (
	"fmt"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/predict"
)

// Explain says in text of at most 100 columns why the plan was chosen and what
// else there is.
func (r *Result) Explain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Searched (%d predictions):\n", r.Evaluations)
	if n := len(r.Skipped); n > 0 {
		fewest, most := r.Skipped[0], r.Skipped[n-1]
		if n == 1 {
			fmt.Fprintf(&b, "  %s cannot meet %v: the work alone takes %.2f ms\n", count(most.CPUs, "CPU"), r.SLO, ms(most.AtLeast))
		} else {
			fmt.Fprintf(&b, "  %d to %d CPUs cannot meet %v: the work alone takes %.2f to %.2f ms\n",
				fewest.CPUs, most.CPUs, r.SLO, ms(fewest.AtLeast), ms(most.AtLeast))
		}
	}
	fmt.Fprintf(&b, "  %9s  %-5s  %5s  %11s  %9s  %12s\n", "processes", "mode", "wraps", "CPUs", "memory", "predicted")
	for _, s := range r.Steps {
		cpus := fmt.Sprint(s.CPUs)
		if s.Shared {
			cpus = "shared " + cpus
		}
		why := s.Why
		if r.SLO != 0 && s.Meets {
			why = "meets"
		}
		line := fmt.Sprintf("  %9d  %-5s  %5d  %11s  %6.0f MB  %9.2f ms  %s", s.Processes, s.Mode, s.Wraps, cpus, float64(s.Memory)/1e6, ms(s.Latency), why)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	fmt.Fprintf(&b, "\nChosen: %s in %s, %.2f ms predicted", count(r.Plan.CPUs(), "CPU"), count(len(r.Plan.Wraps), "wrap"), ms(r.Prediction.Latency))
	switch {
	case r.SLO == 0:
		b.WriteString("; no SLO is set, so the fewest CPUs win.\n")
	case r.Met:
		fmt.Fprintf(&b, ": the fewest CPUs that meet %v.\n", r.SLO)
	default:
		fmt.Fprintf(&b, ": no plan meets %v, this is the fastest.\n", r.SLO)
	}
	for _, c := range r.Critical() {
		line := fmt.Sprintf("  %s: %.2f ms, as long as %s takes in process %d of %s", c.Stage, ms(c.Latency), c.Task, c.Process+1, c.Wrap)
		b.WriteString(cut(line) + "\n")
	}
	b.WriteString("\nWhat else there is:\n")
	fmt.Fprintf(&b, "  %-16s  %4s  %12s  %9s\n", "plan", "CPUs", "predicted", "memory")
	for _, a := range r.Alternatives {
		verdict := ""
		switch {
		case r.SLO == 0:
		case a.Meets:
			verdict = "meets"
		default:
			verdict = "misses"
		}
		line := fmt.Sprintf("  %-16s  %4d  %9.2f ms  %6.0f MB  %s", a.Name, a.CPUs, ms(a.Latency), float64(a.Memory)/1e6, verdict)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	for _, e := range r.Excluded {
		b.WriteString(cut("  not possible: "+strings.ReplaceAll(e.Why, "\n", "; ")) + "\n")
	}
	return b.String()
}

// Critical says what a stage's latency hangs on.
type Critical struct {
	Stage   string
	Latency time.Duration
	// Task that ends last, and where it runs.
	Task    string
	Wrap    string
	Process int // index in the wrap
}

// Critical returns, for each stage of the chosen plan, the task that ends last.
func (r *Result) Critical() []Critical {
	var out []Critical
	spans := r.Prediction.Timeline
	for i, st := range r.Prediction.Stages {
		final := i == len(r.Prediction.Stages)-1
		var last *predict.Span
		for k := range spans {
			sp := &spans[k]
			// A span of no stage but this one begins in it.
			if sp.Start < st.Start || !final && sp.Start >= st.End {
				continue
			}
			if last == nil || sp.End > last.End {
				last = sp
			}
		}
		if last != nil {
			out = append(out, Critical{Stage: st.Name, Latency: st.End - st.Start, Task: last.Task, Wrap: last.Wrap, Process: last.Process})
		}
	}
	return out
}

// columns of the text.
const columns = 100

// cut shortens a line of the user's names to fit.
func cut(line string) string {
	runes := []rune(line)
	if len(runes) <= columns {
		return line
	}
	return string(runes[:columns-1]) + "…"
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// ms is for text only.
func ms(d time.Duration) float64 { return float64(d) / 1e6 }
