package profiler

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/internal/quantile"
	"github.com/chiron-faas/chiron/profile"
)

// totals are what the untraced runs say, the means.
type totals struct {
	wall   profile.Stat
	cpu    time.Duration
	queued time.Duration // waiting for a CPU
}

// offCPU is how long the function itself waits.
func (t totals) offCPU() time.Duration {
	return min(max(0, t.wall.Mean-t.cpu-t.queued), t.wall.Mean)
}

const (
	// worthBlocking is the least total wait that makes a block period, and
	// worthNoting the least that is worth a note, as parts of the wall time: a
	// quarter of what the mean may be off (TargetError), and more than it.
	worthBlocking = 0.005
	worthNoting   = 0.05
	// maxStretch bounds how much longer blocks may be without a tracer than
	// under it. They are longer where what is waited for goes on while the
	// tracer holds the function up, as a server's answer does: at most the half
	// of a wait then passed while the function was held up.
	maxStretch = 2.0
)

// stretch is one segment of the runs, averaged.
type stretch struct {
	class    profile.Class
	cause    string
	partly   bool
	mean     float64 // ns
	variance float64 // ns²
}

// buildPeriods makes a function's periods out of what a tracer saw. Order,
// number and relative lengths come from the traced runs; how long all blocks
// and all else take comes from the untraced ones, so that the means sum to the
// wall time's, and blocks to what was not spent on a CPU.
//
// Differences from the paper (3.2), which scales every block by one factor,
// untraced over traced latency: here blocks and CPU periods have each their
// own known total, and calls that may have worked on the CPU share only what
// the certain waits leave.
func buildPeriods(o *profile.Observation, t totals) (periods []profile.Period, notes []string) {
	wall := float64(t.wall.Mean)
	off := max(0, float64(t.offCPU()-o.Held))
	if off < worthBlocking*wall {
		off = 0
	}
	line, aligned := align(o)
	if len(o.Runs) > 0 && aligned*2 < len(o.Runs) {
		notes = append(notes, fmt.Sprintf("its %d traced runs wait for different calls in different order: periods are those of the commonest order (%d runs)",
			len(o.Runs), aligned))
	}
	if len(line) == 0 {
		line = []stretch{{class: profile.CPU, mean: wall}}
	}
	blocks := fit(line, off)
	if blocks == 0 && off > 0 && !o.Complete {
		// Nobody saw when it waited: least wrong is the middle, where a plan
		// that relies on neither end is right.
		line = []stretch{
			{class: profile.CPU, mean: (wall - off) / 2},
			{class: profile.Block, mean: off},
			{class: profile.CPU, mean: (wall - off) / 2},
		}
		blocks = off
		notes = append(notes, "its waits are too short to tell when they came: they are put in the middle, as one")
	} else if off-blocks > worthNoting*wall {
		notes = append(notes, fmt.Sprintf("%v off the CPU lie in no system call that waits (page faults, or other programs): they count as cpu",
			round(off-blocks)))
	}
	if !slices.ContainsFunc(line, func(s stretch) bool { return s.class != profile.Block }) {
		line = append(line, stretch{class: profile.CPU})
	}
	fitCPU(line, wall-blocks)
	line = merge(line, float64(o.Resolution))
	// Merging moved a little between the classes; put it back.
	if blocks > 0 && !slices.ContainsFunc(line, func(s stretch) bool { return s.class != profile.Block }) {
		line = append(line, stretch{class: profile.CPU, mean: wall - blocks})
	}
	if kept := sum(line, profile.Block); kept > 0 {
		scale(line, profile.Block, blocks/kept)
		fitCPU(line, wall-blocks)
	} else {
		fitCPU(line, wall)
	}
	spread(line, float64(t.wall.StdDev))
	return finish(line, t.wall.Mean), notes
}

func round(ns float64) time.Duration {
	return time.Duration(ns).Round(10 * time.Microsecond)
}

// align averages the runs that have the same shape: the same classes and
// causes in the same order. Shapes are first compared whole; where fewer than
// half of the runs agree, without the segments under the resolution. It returns
// how many runs agreed.
func align(o *profile.Observation) ([]stretch, int) {
	if len(o.Runs) == 0 {
		return nil, 0
	}
	group := commonest(o.Runs)
	if len(group)*2 < len(o.Runs) {
		var coarse [][]profile.Segment
		for _, run := range o.Runs {
			coarse = append(coarse, coarsen(run, o.Resolution))
		}
		if other := commonest(coarse); len(other) > len(group) {
			group = other
		}
	}
	line := make([]stretch, len(group[0]))
	values := make([]float64, len(group))
	for at := range line {
		for i, run := range group {
			values[i] = float64(run[at].Took)
		}
		s := group[0][at]
		// The median: one run that was held up must not stretch a period.
		line[at] = stretch{class: s.Class, cause: s.Cause, partly: s.Partly, mean: quantile.Median(values), variance: variance(values)}
	}
	return line, len(group)
}

// commonest is the largest group of runs of one shape, the first of equals.
func commonest(runs [][]profile.Segment) [][]profile.Segment {
	groups := map[string][][]profile.Segment{}
	var best string
	for _, run := range runs {
		key := shape(run)
		groups[key] = append(groups[key], run)
	}
	for _, run := range runs {
		if key := shape(run); best == "" || len(groups[key]) > len(groups[best]) {
			best = key
		}
	}
	return groups[best]
}

func shape(run []profile.Segment) string {
	var b strings.Builder
	b.WriteByte('/') // no run's shape is ""
	for _, s := range run {
		b.WriteString(string(s.Class))
		b.WriteByte(':')
		b.WriteString(s.Cause)
		b.WriteByte('/')
	}
	return b.String()
}

// coarsen merges the short segments of one run.
func coarsen(run []profile.Segment, resolution time.Duration) []profile.Segment {
	line := make([]stretch, len(run))
	for i, s := range run {
		line[i] = stretch{class: s.Class, cause: s.Cause, partly: s.Partly, mean: float64(s.Took)}
	}
	line = merge(line, float64(resolution))
	out := make([]profile.Segment, len(line))
	for i, s := range line {
		out[i] = profile.Segment{Class: s.class, Cause: s.cause, Partly: s.partly, Took: time.Duration(s.mean)}
	}
	return out
}

// variance of a sample; 0 of one.
func variance(values []float64) float64 {
	if len(values) < 2 {
		return 0
	}
	var mean, squares float64
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		squares += (v - mean) * (v - mean)
	}
	return squares / float64(len(values)-1)
}

// fit scales the blocks so that together they take what was spent off the CPU,
// and returns what they take, which is less where the tracer saw too few. What
// surely waited has the first claim; calls that may have worked share the rest.
func fit(line []stretch, off float64) float64 {
	var sure, part float64
	for _, s := range line {
		switch {
		case s.class != profile.Block:
		case s.partly:
			part += s.mean
		default:
			sure += s.mean
		}
	}
	var sureBy, partBy float64
	switch {
	case off <= 0 || sure+part <= 0:
	case sure >= off:
		sureBy = off / sure
	case sure+part >= off:
		sureBy, partBy = 1, (off-sure)/part
	default:
		sureBy = min(off/(sure+part), maxStretch)
		partBy = sureBy
	}
	var total float64
	for i := range line {
		s := &line[i]
		if s.class != profile.Block {
			continue
		}
		by := sureBy
		if s.partly {
			by = partBy
		}
		s.mean *= by
		s.variance *= by * by
		total += s.mean
	}
	return total
}

// fitCPU scales all that is no block to a total.
func fitCPU(line []stretch, total float64) {
	var have float64
	last := -1
	for i, s := range line {
		if s.class != profile.Block {
			have += s.mean
			last = i
		}
	}
	if have > 0 {
		for i := range line {
			if line[i].class != profile.Block {
				line[i].mean *= total / have
				line[i].variance *= (total / have) * (total / have)
			}
		}
	} else if last >= 0 { // all of length 0: the tracer's cost hid them
		line[last].mean = total
	}
}

// sum of the means of one class; "": of all.
func sum(line []stretch, class profile.Class) (total float64) {
	for _, s := range line {
		if class == "" || s.class == class {
			total += s.mean
		}
	}
	return total
}

func scale(line []stretch, class profile.Class, by float64) {
	for i := range line {
		if line[i].class == class {
			line[i].mean *= by
			line[i].variance *= by * by
		}
	}
}

// merge gives stretches shorter than the resolution to a neighbour, the
// shortest first (in steps of two), and joins neighbours of one class. A joined
// block keeps the cause of its longest part.
//
// A line that is shorter as a whole becomes what most of it is.
func merge(line []stretch, resolution float64) []stretch {
	if len(line) > 1 && sum(line, "") < resolution {
		return []stretch{whole(line)}
	}
	line = join(line)
	for limit := resolution / 64; ; limit = min(limit*2, resolution) {
		for {
			before := len(line)
			for i := range line {
				s := &line[i]
				if s.mean >= limit || len(line) == 1 {
					continue
				}
				// Neighbours were of another class when the pass began; the one
				// before may have taken ours since.
				host := -1
				if i > 0 {
					host = i - 1
				}
				if i+1 < len(line) && (host < 0 || line[i+1].mean > line[host].mean) {
					host = i + 1
				}
				if line[host].class != s.class {
					s.class, s.cause, s.partly = line[host].class, line[host].cause, line[host].partly
				}
			}
			if line = join(line); len(line) == before {
				break
			}
		}
		if limit >= resolution {
			return line
		}
	}
}

// whole makes one stretch of a line: of the class that most of it is, with the
// cause of its longest stretch of that class.
func whole(line []stretch) stretch {
	all := stretch{class: profile.CPU}
	if sum(line, profile.Block) > sum(line, "")/2 {
		all.class = profile.Block
	}
	longest := -1.0
	for _, s := range line {
		all.mean += s.mean
		all.variance += s.variance
		if s.class == all.class && s.mean > longest {
			all.cause, all.partly, longest = s.cause, s.partly, s.mean
		}
	}
	return all
}

// join makes one stretch of neighbours of the same class.
func join(line []stretch) []stretch {
	var out []stretch
	var longest float64 // part of the last of out
	for _, s := range line {
		if n := len(out); n > 0 && out[n-1].class == s.class {
			into := &out[n-1]
			into.mean += s.mean
			into.variance += s.variance
			if s.mean > longest {
				into.cause, into.partly, longest = s.cause, s.partly, s.mean
			}
			continue
		}
		out = append(out, s)
		longest = s.mean
	}
	return out
}

// spread scales the deviations so that, taken as independent, they add up to
// the wall time's: traced runs vary by the tracer's doing, untraced ones by the
// function's. Where the traced runs show none it is shared by length.
func spread(line []stretch, deviation float64) {
	var total float64
	for _, s := range line {
		total += s.variance
	}
	if total == 0 {
		for i := range line {
			line[i].variance = line[i].mean * line[i].mean
			total += line[i].variance
		}
	}
	if total == 0 {
		return
	}
	for i := range line {
		line[i].variance *= deviation * deviation / total
	}
}

// finish rounds to nanoseconds; what is left over goes to the longest period,
// so that the sum is exact.
func finish(line []stretch, wall time.Duration) []profile.Period {
	periods := make([]profile.Period, len(line))
	var total time.Duration
	longest := 0
	for i, s := range line {
		periods[i] = profile.Period{
			Class:  s.class,
			Mean:   time.Duration(math.Round(s.mean)),
			StdDev: time.Duration(math.Round(math.Sqrt(s.variance))),
		}
		if s.class == profile.Block {
			periods[i].Cause = s.cause
		}
		total += periods[i].Mean
		if periods[i].Mean > periods[longest].Mean {
			longest = i
		}
	}
	periods[longest].Mean += wall - total
	return periods
}
