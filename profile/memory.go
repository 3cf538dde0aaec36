package profile

// Memory is what a function adds to the processes of its wrap. A wrap has one
// zygote, which imports all of its functions, and processes forked from it, which
// share the zygote's pages until they write to them. So the wrap holds, beside
// its agent,
//
//	Host.RSS + Imports.RSS of each function
//	+ for each process: Worker.Private + Calls.Private of each of its functions
//
// and while calls run, Transient of each. Two functions that import the same
// modules hold them once, so the sum is too large by what they have in common.
type Memory struct {
	// Host is the zygote of a host without functions.
	Host Footprint `json:"host"`
	// Worker is what a process that ran a function that does nothing adds to it.
	Worker Footprint `json:"worker"`
	// Imports is what importing the function adds to the zygote.
	Imports Footprint `json:"imports"`
	// Calls is what the function's calls leave in a process, more than Worker.
	Calls Footprint `json:"calls"`
	// Transient is how much more than that a process held at its peak, bytes:
	// what a call frees when it ends.
	Transient int64 `json:"transient_bytes"`
}

// Footprint is the memory of a process, or a difference between two, bytes, as
// the kernel counts it in /proc/PID/smaps_rollup.
type Footprint struct {
	// RSS counts every page that the process has in memory.
	RSS int64 `json:"rss_bytes"`
	// PSS counts a page that n processes of the machine have as an n-th of one,
	// so it depends on what else runs.
	PSS int64 `json:"pss_bytes"`
	// Private counts the pages that no other process has.
	Private int64 `json:"private_bytes"`
}

// Minus is the difference of two footprints; none below 0, where two processes
// differ by the chance of their page faults.
func (f Footprint) Minus(other Footprint) Footprint {
	return Footprint{max(0, f.RSS-other.RSS), max(0, f.PSS-other.PSS), max(0, f.Private-other.Private)}
}

func (f Footprint) least() int64 { return min(f.RSS, f.PSS, f.Private) }

// Alone is what the function adds to a bare wrap that has one process for it.
func (m Memory) Alone() int64 { return m.Imports.RSS + m.Calls.Private + m.Transient }
