package plan

import (
	"time"
)

// APIVersion of plan.json.
const APIVersion = "chiron/v1"

// Plan places every Task state of a workflow. Wraps[0] is wrap 1 of the paper:
// it takes the workflow's requests, walks the definition, and calls the other
// wraps for their part of a stage; unless Calls says otherwise.
type Plan struct {
	// Workflow is the project's name.
	Workflow string
	// Model names the rule or search that made the plan: "chiron", "faastlane", …
	Model string
	// Objective that the plan was searched for; nil where it was not searched, or
	// is not known.
	Objective *Objective
	Calls     Calls
	Wraps     []Wrap
}

// Calls says how the tasks of a plan are reached.
type Calls string

// The ways to reach tasks.
const (
	// Direct: wrap 1 walks the workflow, and calls the other wraps itself.
	Direct Calls = ""
	// ThroughGateway: an orchestrator beside the gateway walks the workflow, and
	// every task is a request through the gateway to its wrap, as in OpenFaaS.
	ThroughGateway Calls = "gateway"
)

// Wrap is one sandbox.
type Wrap struct {
	// Name is unique in the plan and a DNS label: "wrap-1", "wrap-2", …
	Name string
	// CPUs that the wrap is given, at least 1.
	CPUs int
	// Memory limit in bytes; 0: none.
	Memory int64
	// Concurrency is the most requests that an instance of the wrap works on at
	// once; the rest wait. 0: DefaultConcurrency.
	Concurrency int
	Processes   []Process
}

// Process is one process of a wrap: one interpreter, one interpreter lock.
// Its tasks of one stage run as its threads, started in the order of Tasks.
type Process struct {
	Mode Mode
	// CPU is the index (0 … Wrap.CPUs-1) of the wrap's CPU that the process is
	// pinned to; Unpinned lets it run on any CPU of the wrap.
	CPU int
	// SwitchInterval of the interpreter lock; 0 means the interpreter's own
	// (CPython: 5 ms, sys.setswitchinterval).
	SwitchInterval time.Duration
	// Ready is the most children that a Standby process keeps waiting; 0: the
	// agent's own bound. How many wait follows the load.
	Ready int
	// Uses is the number of calls after which a Pool process is replaced by a
	// fresh one, while calls go on; 0: never.
	Uses int
	// Tasks are the names of Task states. A process may serve several stages.
	Tasks []string
}

// Unpinned is the Process.CPU of a process that may run on any CPU of its wrap.
const Unpinned = -1

// Mode says when a process is made.
type Mode string

// The process modes.
const (
	// Pool processes are long-lived and shared by requests. A wrap whose
	// threads run in its main process, as the paper's wrap with one process,
	// is one Pool process.
	Pool Mode = "pool"
	// Fork processes are forked while the request waits, one per request and
	// stage, and end with the stage: the paper's native mode.
	Fork Mode = "fork"
	// Standby processes are forked ahead of the request and warmed without
	// running a handler; one serves one request and stage, as a forked one does,
	// and is replaced off the request's path. A request that finds none waiting
	// forks.
	Standby Mode = "standby"
)

// Linger is how long a Standby process outlives its stage: giving back its memory
// takes some 0.4 ms of a CPU, which the next stage of the request needs.
const Linger = 10 * time.Millisecond

// Modes lists the process modes.
func Modes() []Mode { return []Mode{Pool, Fork, Standby} }

// PerRequest tells whether a process of this mode serves one request and stage,
// and then ends.
func (m Mode) PerRequest() bool { return m == Fork || m == Standby }
