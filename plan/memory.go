package plan

import (
	"github.com/chiron-faas/chiron/profile"
)

// MemoryEstimate is the memory that the plan's wraps hold while all of their
// processes live, bytes; see Wrap.MemoryEstimate.
func (p *Plan) MemoryEstimate(measured *profile.Profile) int64 {
	var sum int64
	for i := range p.Wraps {
		sum += p.Wraps[i].MemoryEstimate(measured)
	}
	return sum
}

// MemoryEstimate is the memory that the wrap holds while all of its processes
// live and run, bytes, by the sum that profile.Memory gives:
//
//	the bare host and what each function's import adds to it, once, for the
//	wrap's processes are forked from one that has imported all of them;
//	for each process its own pages: a bare one's, and what the calls of its
//	functions leave there;
//	for each task what its call frees again;
//	for each standby process one more bare one: the child that waits.
//
// The tasks of a process are taken to run at the same time, and functions to
// import different modules: the estimate is high where they do not. Measured
// (BenchmarkMemoryEstimate of bench/serving: RSS of the zygotes and private pages
// of the workers in /proc/PID/smaps_rollup): within 2 % for examples/finra-5 and
// slapp with a wrap for each function, 0.5 and 6 MB too much in one wrap. It
// leaves out the agent. It is 0 where the profile has no memory.
func (w *Wrap) MemoryEstimate(measured *profile.Profile) int64 {
	return w.memory(measured, func(string) bool { return true })
}

// MemoryDuring is MemoryEstimate for a moment at which only some tasks run:
// forked processes without one of these are not there, the others have the pages
// of those only, and only calls that run hold what they free again. The child of
// a standby process that waits is there at any moment.
func (p *Plan) MemoryDuring(measured *profile.Profile, runs func(task string) bool) int64 {
	var sum int64
	for i := range p.Wraps {
		sum += p.Wraps[i].memory(measured, runs)
	}
	return sum
}

func (w *Wrap) memory(measured *profile.Profile, runs func(task string) bool) int64 {
	var host, processes int64
	imports := make(map[string]int64)
	for _, process := range w.Processes {
		var worker, waiting, transient int64
		calls := make(map[string]int64)
		for _, task := range process.Tasks {
			f, ok := measured.Task(task)
			if !ok {
				continue
			}
			m := &f.Memory
			host = max(host, m.Host.RSS)
			imports[f.Name] = max(imports[f.Name], m.Imports.RSS)
			if process.Mode == Standby {
				waiting = max(waiting, m.Worker.Private)
			}
			running := runs(task)
			if !running && process.Mode.PerRequest() {
				continue
			}
			worker = max(worker, m.Worker.Private)
			calls[f.Name] = max(calls[f.Name], m.Calls.Private)
			if running {
				transient += m.Transient
			}
		}
		processes += worker + waiting + total(calls) + transient
	}
	return host + total(imports) + processes
}

func total(bytes map[string]int64) (sum int64) {
	for _, n := range bytes {
		sum += n
	}
	return sum
}
