package deploy

import "time"

// Status is a deployment as it is now.
type Status struct {
	Name string `json:"name"`
	// Target is the kind of target: "local".
	Target   string `json:"target"`
	Workflow string `json:"workflow"`
	PlanID   string `json:"planID"`
	State    State  `json:"state"`
	// Gateway is where it is served; empty: not told.
	Gateway string `json:"gateway,omitempty"`
	// Keeper is the process that keeps the wraps running; 0: none on this
	// machine.
	Keeper  int       `json:"keeper,omitempty"`
	Started time.Time `json:"started"`
	// Notes are what the target could not give, one line each: CPUs that are
	// shared, limits that are not enforced.
	Notes []string     `json:"notes,omitempty"`
	Wraps []WrapStatus `json:"wraps"`
}

// State of a deployment.
type State string

// The states of a deployment.
const (
	// Starting: not all wraps have been ready yet.
	Starting State = "starting"
	// Up: all wraps are ready.
	Up State = "up"
	// Idle: it has no instance now; the next request starts one.
	Idle State = "idle"
	// Degraded: it was up, and a wrap is being restarted.
	Degraded State = "degraded"
	// Stopping: it is being taken down.
	Stopping State = "stopping"
	// Dead: what kept it running is gone; Down or Up clears the remains.
	Dead State = "dead"
)

// WrapStatus is one wrap of a deployment.
type WrapStatus struct {
	Name string `json:"name"`
	// Instance that the wrap belongs to, from 1.
	Instance int       `json:"instance"`
	State    WrapState `json:"state"`
	// PID of the wrap's first process; 0: none on this machine, or none now.
	PID int `json:"pid,omitempty"`
	// Restarts since the deployment came up.
	Restarts int `json:"restarts"`
	// StartMS is how long its last start took until it was ready, milliseconds.
	StartMS float64 `json:"start_ms,omitempty"`
	// Since is when the wrap came into its state.
	Since time.Time `json:"since"`
	// CPUs are the machine's CPU ids that the wrap was given, in the plan's
	// order; one that stands there twice serves two of the plan's.
	CPUs []int `json:"cpus,omitempty"`
	// Processes that it consists of now, and the memory that they hold, bytes;
	// 0: not known.
	Processes int   `json:"processes,omitempty"`
	Memory    int64 `json:"memory_bytes,omitempty"`
	// MemoryLimit in bytes; 0: none is enforced.
	MemoryLimit int64 `json:"memory_limit_bytes,omitempty"`
	// Address in the form of the agent's --listen.
	Address   string   `json:"address,omitempty"`
	Functions []string `json:"functions,omitempty"`
	// LastError says why it was restarted last.
	LastError string `json:"last_error,omitempty"`
}

// WrapState is the state of one wrap.
type WrapState string

// The states of a wrap.
const (
	WrapStarting   WrapState = "starting"
	WrapReady      WrapState = "ready"
	WrapRestarting WrapState = "restarting" // it died, and waits for its next start
	WrapStopping   WrapState = "stopping"
	WrapStopped    WrapState = "stopped"
)
