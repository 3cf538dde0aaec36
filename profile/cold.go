package profile

import "time"

// ColdPeriods are the periods of a first call in a forked process: those of the
// warm calls, with what Cold and ColdCPU have over Wall and CPU. More CPU time
// goes to the cpu periods in proportion to their lengths, since what a first call
// does more (imports, caches, the specialising of bytecode in CPython 3.11 and
// newer, page faults on what the zygote shares) it does with the interpreter lock
// held; more waiting goes to the blocks, or where there are none to cpu. A
// function whose first calls were not measured has its warm periods.
func (f *Function) ColdPeriods() []Period {
	wall, cpu := f.Cold.Mean-f.Wall.Mean, f.ColdCPU.Mean-f.CPU.Mean
	if f.Cold.Mean == 0 || wall == 0 {
		return f.Periods
	}
	// A machine that was faster while the first calls were measured must not
	// make them shorter than warm ones.
	wall = max(wall, 0)
	cpu = min(max(cpu, 0), wall)
	var holding, blocking time.Duration
	for _, p := range f.Periods {
		switch p.Class {
		case CPU:
			holding += p.Mean
		case Block:
			blocking += p.Mean
		}
	}
	if blocking == 0 {
		cpu = wall
	}
	out := make([]Period, len(f.Periods), len(f.Periods)+1)
	copy(out, f.Periods)
	if holding == 0 {
		// Nothing to stretch: it comes first.
		out = append([]Period{{Class: CPU, Mean: cpu}}, out...)
	}
	for i := range out {
		p := &out[i]
		switch {
		case p.Class == CPU && holding > 0:
			p.stretch(cpu, holding)
		case p.Class == Block && blocking > 0:
			p.stretch(wall-cpu, blocking)
		}
	}
	return out
}

// stretch gives the period its part of what a total of its class has more.
func (p *Period) stretch(more, total time.Duration) {
	by := 1 + float64(more)/float64(total)
	p.Mean = time.Duration(float64(p.Mean) * by)
	p.StdDev = time.Duration(float64(p.StdDev) * by)
}
