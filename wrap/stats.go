package wrap

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/chiron-faas/chiron/plan"
)

// Stats is the answer of GET /_/stats.
type Stats struct {
	Wrap   string `json:"wrap"`
	PlanID string `json:"plan_id"`
	PID    int    `json:"pid"`
	// UptimeMS since the agent was made.
	UptimeMS int64 `json:"uptime_ms"`
	Ready    bool  `json:"ready"`
	// InFlight requests are worked on, Queued ones wait for their turn.
	InFlight    int   `json:"in_flight"`
	Queued      int64 `json:"queued"`
	Concurrency int   `json:"concurrency"`
	// Zygote is the language host's first process.
	Zygote    ProcessStats   `json:"zygote"`
	Processes []ProcessStats `json:"processes"`
	// Peers are the wraps that this one calls, in the plan's order.
	Peers []PeerStats `json:"peers,omitempty"`
}

// ProcessStats is one process of the plan, or the zygote.
type ProcessStats struct {
	// Index in the plan's wrap; -1 for the zygote.
	Index int `json:"index"`
	// PID of the process; 0 where there is none now: it is being replaced, or
	// it serves one request only.
	PID   int       `json:"pid"`
	Mode  plan.Mode `json:"mode,omitempty"`
	Tasks []string  `json:"tasks,omitempty"`
	// CPU that it is pinned to, the machine's id; -1: none.
	CPU int `json:"cpu"`
	// Uses counts the calls made on it, Restarts its replacements.
	Uses     int64 `json:"uses"`
	Restarts int64 `json:"restarts"`
	// Of a standby process: the children that wait now, the stages that found
	// none, and how long a child that was taken is missing.
	Waiting       int   `json:"waiting,omitempty"`
	Late          int64 `json:"late,omitempty"`
	ReplacementUS int64 `json:"replacement_us,omitempty"`
}

func (a *Agent) stats() Stats {
	s := Stats{
		Wrap: a.name, PlanID: a.bundle.manifest.PlanID, PID: os.Getpid(),
		UptimeMS: time.Since(a.started).Milliseconds(), Ready: a.ready(),
		InFlight: a.admission.inFlight(), Queued: a.admission.waiting.Load(), Concurrency: cap(a.admission.slots),
		Zygote: ProcessStats{Index: -1, CPU: plan.Unpinned, Restarts: a.restarts.Load()},
	}
	if z, ok := a.zygotes.peek(); ok {
		s.Zygote.PID = z.Pid()
	}
	for _, p := range a.layout.processes {
		ps := ProcessStats{Index: p.index, Mode: p.mode, Tasks: p.tasks, CPU: p.options.CPU, Uses: p.uses.Load()}
		if p.pool != nil {
			ps.Restarts = p.pool.restarts.Load()
			if m, ok := p.pool.live.peek(); ok {
				ps.PID = m.Pid()
			}
		}
		if p.shelf != nil {
			ps.Restarts, ps.Late = p.shelf.restarts.Load(), p.shelf.late.Load()
			ps.Waiting, ps.ReplacementUS = p.shelf.waitingNow(), p.shelf.replacement().Microseconds()
		}
		s.Processes = append(s.Processes, ps)
	}
	for _, p := range a.peers {
		if p != nil {
			s.Peers = append(s.Peers, p.overheads.stats(p.name))
		}
	}
	return s
}

func (a *Agent) serveStats(w http.ResponseWriter, req *http.Request) {
	if !onlyGet(w, req) {
		return
	}
	w.Header()["Content-Type"] = jsonType
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(a.stats()) // the caller may have left
}

// serveHealth says that the agent lives and takes requests.
func (a *Agent) serveHealth(w http.ResponseWriter, req *http.Request) {
	if onlyGet(w, req) {
		say(w, !a.door.isShut(), "shutting down")
	}
}

// serveReady says that the handlers are imported and every pool process is up,
// and a child of every standby process waits.
func (a *Agent) serveReady(w http.ResponseWriter, req *http.Request) {
	if onlyGet(w, req) {
		say(w, a.ready(), "not ready")
	}
}

func onlyGet(w http.ResponseWriter, req *http.Request) bool {
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", "GET, HEAD")
	http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	return false
}

func say(w http.ResponseWriter, ok bool, otherwise string) {
	w.Header()["Content-Type"] = textType
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, otherwise+"\n")
		return
	}
	_, _ = io.WriteString(w, "OK\n")
}
