package profile

import (
	"time"
)

// APIVersion of profile.json. Version 1 had one figure of memory, and neither
// walls nor sockets.
const APIVersion = "chiron/v2"

// Profile is the measured behaviour of every function of a workflow.
type Profile struct {
	Workflow string
	Machine  Machine
	Created  time.Time
	// Functions in the order of the workflow's tasks.
	Functions []Function
}

// Machine says where a profile or a calibration was measured.
type Machine struct {
	CPUModel string `json:"cpuModel"`
	CPUs     int    `json:"cpus"`
	Kernel   string `json:"kernel"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

// Function is one function with one input. Task states that call the same
// function with the same input share it.
type Function struct {
	// Name is the project's function; Tasks the Task states that it stands for.
	Name  string
	Tasks []string
	// Lang and Version of the interpreter that ran it: "python", "3.11.7".
	Lang    string
	Version string
	// Tracer that cut the run into periods: "ebpf", "perf", "strace", "portable".
	Tracer string
	// Slowdown is the traced wall time over the untraced one; of a tracer that
	// looks several times, in the pass that the times are from.
	Slowdown float64
	// Runs counts the warm, untraced runs behind Wall.
	Runs int
	// Wall is the handler's own time, warm and untraced; CPU its thread's CPU time.
	Wall Stat
	CPU  Stat
	// Walls is the shape behind Wall: MaxWalls order statistics of the runs,
	// from the shortest to the longest at evenly spaced ranks (0 %, 1 %, …,
	// 100 %); of fewer runs each run, sorted. Empty in files made by hand.
	Walls []time.Duration
	// Cold is the wall time of the first call in a process that was forked for
	// it, as every call in a fork process is: what a first call imports, caches
	// and writes to for the first time is in it. ColdCPU is its thread's CPU time.
	Cold    Stat
	ColdCPU Stat
	// RunQueue is how long, in the mean, a run waited for a CPU: time that
	// other programs of this machine took. It is part of Wall and of the cpu
	// periods. 0 where it is not worth a mention.
	RunQueue time.Duration
	// Periods in order; their means sum to Wall.Mean.
	Periods []Period
	// PeakRSS is the largest resident set that the process had, bytes.
	PeakRSS int64
	Memory  Memory
	// Files that it wrote, absolute or relative to its working folder, sorted.
	Files []string
	// Sockets that it connected to or bound, sorted: "connect tcp
	// 127.0.0.1:9753", "bind udp 0.0.0.0:53", "connect unix /run/x.sock".
	Sockets []string
	// InputBytes and OutputBytes of the profiled call.
	InputBytes  int
	OutputBytes int
	// Notes say what a reader must know to trust the figures: a tracer that
	// saw only part, a run cut short by its time budget.
	Notes []string
}

// Stat summarises repeated measurements.
type Stat struct {
	Mean   time.Duration
	StdDev time.Duration
	Min    time.Duration
	P50    time.Duration
	P99    time.Duration
	Max    time.Duration
}

// Class says what a thread does during a period.
type Class string

// The classes of period.
const (
	// CPU: on a CPU, holding the interpreter lock.
	CPU Class = "cpu"
	// Native: on a CPU, the lock released (hashing, compression, numpy).
	Native Class = "native"
	// Block: off the CPU, waiting on a call.
	Block Class = "block"
)

// Period is one stretch of a function's run.
type Period struct {
	Class  Class
	Mean   time.Duration
	StdDev time.Duration
	// Cause of a Block: the system call; empty where unknown.
	Cause string
	// Served is the part of a Block in which a server on the same machine works
	// on a CPU for it; 0 where nobody has measured it, or the server is elsewhere.
	Served time.Duration
}

// Task returns the measurements that stand for a Task state.
func (p *Profile) Task(state string) (*Function, bool) {
	for i := range p.Functions {
		for _, t := range p.Functions[i].Tasks {
			if t == state {
				return &p.Functions[i], true
			}
		}
	}
	return nil, false
}
