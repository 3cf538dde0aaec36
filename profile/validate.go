package profile

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Validate checks everything that predict and plan take for granted: names,
// known classes, no negative time, statistics in order, periods that sum to
// the wall time. It reports all faults, joined.
func (p *Profile) Validate() error {
	var faults []error
	if len(p.Functions) == 0 {
		faults = append(faults, errors.New("it has no functions"))
	}
	owner := map[string]string{}
	for i := range p.Functions {
		f := &p.Functions[i]
		for _, err := range f.faults() {
			faults = append(faults, fmt.Errorf("function %q: %w", f.Name, err))
		}
		for _, task := range f.Tasks {
			if other, ok := owner[task]; ok {
				faults = append(faults, fmt.Errorf("function %q: task %q is that of %q already", f.Name, task, other))
			}
			owner[task] = f.Name
		}
	}
	return errors.Join(faults...)
}

func (f *Function) faults() []error {
	var faults []error
	add := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if f.Name == "" {
		add("it has no name")
	}
	if len(f.Tasks) == 0 {
		add("it names no tasks")
	}
	for _, task := range f.Tasks {
		if task == "" {
			add("a task has no name")
		}
	}
	if f.Runs < 1 {
		add("runs is %d: at least one is needed", f.Runs)
	}
	if f.Slowdown < 0 {
		add("slowdown is %g: it cannot be negative", f.Slowdown)
	}
	if err := f.Wall.fault(); err != nil {
		add("wall: %w", err)
	}
	if err := f.CPU.fault(); err != nil {
		add("cpu: %w", err)
	}
	if err := f.Cold.fault(); err != nil {
		add("cold: %w", err)
	}
	if err := f.ColdCPU.fault(); err != nil {
		add("cold_cpu: %w", err)
	}
	if err := f.wallsFault(); err != nil {
		add("walls_ms: %w", err)
	}
	for _, q := range []struct {
		name  string
		value int64
	}{
		{"run_queue_ms", int64(f.RunQueue)},
		{"peak_rss_bytes", f.PeakRSS},
		{"memory.host", f.Memory.Host.least()},
		{"memory.worker", f.Memory.Worker.least()},
		{"memory.imports", f.Memory.Imports.least()},
		{"memory.calls", f.Memory.Calls.least()},
		{"memory.transient_bytes", f.Memory.Transient},
		{"input_bytes", int64(f.InputBytes)},
		{"output_bytes", int64(f.OutputBytes)},
	} {
		if q.value < 0 {
			add("%s is negative", q.name)
		}
	}
	return append(faults, f.periodFaults()...)
}

// wallsFault says in which way Walls cannot be those of Wall.
func (f *Function) wallsFault() error {
	n := len(f.Walls)
	switch {
	case n == 0:
		return nil
	case n > MaxWalls:
		return fmt.Errorf("there are %d: %d at most", n, MaxWalls)
	case n > f.Runs:
		return fmt.Errorf("there are %d, of %d runs", n, f.Runs)
	case f.Walls[0] < 0:
		return errors.New("a time is negative")
	case !slices.IsSorted(f.Walls):
		return errors.New("they are not sorted")
	}
	// A microsecond of slack, for files edited by hand.
	if first, last := f.Walls[0], f.Walls[n-1]; (first-f.Wall.Min).Abs() > time.Microsecond || (last-f.Wall.Max).Abs() > time.Microsecond {
		return fmt.Errorf("they go from %v to %v, but the wall time from %v to %v", first, last, f.Wall.Min, f.Wall.Max)
	}
	return nil
}

func (f *Function) periodFaults() []error {
	var faults []error
	if len(f.Periods) == 0 {
		return append(faults, errors.New("it has no periods"))
	}
	var sum time.Duration
	for i, period := range f.Periods {
		if err := period.fault(); err != nil {
			faults = append(faults, fmt.Errorf("period %d: %w", i+1, err))
		}
		sum += period.Mean
	}
	// Files are written to the nanosecond; the tolerance is for those edited by
	// hand.
	if gap := (sum - f.Wall.Mean).Abs(); gap > time.Microsecond+f.Wall.Mean/1000 {
		faults = append(faults, fmt.Errorf("its periods take %v in all, but its wall time is %v", sum, f.Wall.Mean))
	}
	return faults
}

func (p Period) fault() error {
	switch {
	case p.Class != CPU && p.Class != Native && p.Class != Block:
		return fmt.Errorf("unknown class %q: it must be %q, %q or %q", p.Class, CPU, Native, Block)
	case p.Mean < 0:
		return fmt.Errorf("it takes %v: a period cannot be negative", p.Mean)
	case p.StdDev < 0:
		return fmt.Errorf("its standard deviation is negative (%v)", p.StdDev)
	case p.Cause != "" && p.Class != Block:
		return fmt.Errorf("a %s period has no cause (%q)", p.Class, p.Cause)
	case p.Served < 0 || p.Served > p.Mean:
		return fmt.Errorf("a server works %v of its %v", p.Served, p.Mean)
	case p.Served > 0 && p.Class != Block:
		return fmt.Errorf("a %s period is not served by another process", p.Class)
	}
	return nil
}

func (s Stat) fault() error {
	switch {
	case s.Min < 0 || s.StdDev < 0:
		return errors.New("a time is negative")
	case s.Min > s.P50 || s.P50 > s.P99 || s.P99 > s.Max || s.Mean < s.Min || s.Mean > s.Max:
		return errors.New("min, mean, p50, p99 and max are not in order")
	}
	return nil
}
