package accuracy

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/bench/serving"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
	"github.com/chiron-faas/chiron/wrap"
)

// soloRuns are what the functions took alone in the rounds of a batch: the same
// minutes, and by turns with the placements. A machine that others use too runs
// at half its speed for some seconds and at its full speed for the next; profiles
// of before and after would say what it did then.
//
// They are made on as many CPUs as the placements: a child that runs on its
// parent's CPU finds more of what it needs in that CPU's caches (measured: a first
// call takes up to a fifth less CPU time there).
type soloRuns struct {
	Begin time.Time `json:"begin"` // of the batch
	// CPUs that they ran on; 0, in older archives: as many as there were.
	CPUs int `json:"cpus,omitempty"`
	// Warm are runs in a process that lives, Cold first calls in one that was
	// forked for it; by task.
	Warm map[string]*taskRuns `json:"warm"`
	Cold map[string]*taskRuns `json:"cold"`
}

// taskRuns are a task's, by round.
type taskRuns struct {
	Wall []time.Duration `json:"wall_ns"`
	CPU  []time.Duration `json:"cpu_ns"`
}

// solo is a deployment in which every function has a process of its own, called
// one at a time.
type solo struct {
	*served
	definition *workflow.Definition
	mode       plan.Mode
	clients    map[string]*http.Client // by function
	runs       map[string]*taskRuns
	counts     bool // of the walk that goes on
	walked     int  // tasks of it
}

// newSolo plans the deployment; the processes are of one mode.
func newSolo(project *workflow.Project, mode plan.Mode, cpus int, dir string) *solo {
	var processes []plan.Process
	index := make(map[string]int)
	for _, t := range project.Definition.Tasks() {
		i, ok := index[t.Function]
		if !ok {
			i = len(processes)
			index[t.Function] = i
			processes = append(processes, plan.Process{Mode: mode, CPU: plan.Unpinned})
		}
		processes[i].Tasks = append(processes[i].Tasks, t.Name)
	}
	pl := &plan.Plan{Workflow: project.Name, Model: "solo", Wraps: []plan.Wrap{{Name: "wrap-1", CPUs: cpus, Processes: processes}}}
	if pl.Apart(plan.NewConflicts(project.Definition, project.Functions, nil, &project.Rules)) != nil {
		pl.Wraps = nil
		for i := range processes {
			pl.Wraps = append(pl.Wraps, plan.Wrap{Name: fmt.Sprint("wrap-", i+1), CPUs: cpus, Processes: processes[i : i+1]})
		}
	}
	return &solo{
		served:     &served{Placement: &Placement{CPUs: cpus, Plan: pl}, dir: filepath.Join(dir, fmt.Sprint(mode, cpus))},
		definition: project.Definition, mode: mode,
		clients: make(map[string]*http.Client), runs: make(map[string]*taskRuns),
	}
}

// turn walks the workflow alone, twice; the second walk counts. Forked processes
// are new each time, but their zygote and the files have slept as well.
func (s *solo) turn(ctx context.Context, input []byte) error {
	for _, s.counts = range []bool{false, true} {
		s.walked = 0
		if _, err := workflow.Run(ctx, s.definition, input, s); err != nil {
			return err
		}
	}
	return nil
}

// Task calls a task's function, as an Executor.
func (s *solo) Task(ctx context.Context, state *workflow.State, input json.RawMessage) (json.RawMessage, error) {
	endpoint, ok := s.Running.Function(state.Function)
	if !ok {
		return nil, fmt.Errorf("function %q is not deployed", state.Function)
	}
	client := s.clients[state.Function]
	if client == nil {
		client = serving.Client(endpoint)
		s.clients[state.Function] = client
	}
	// As in a request, a call follows the one before. Forked processes leave work
	// behind, which is no part of the next one's.
	if s.walked == 0 || s.mode == plan.Fork {
		time.Sleep(pause)
	}
	s.walked++
	body, trace, err := serving.Post(ctx, client, endpoint.Path, input, true)
	if err != nil {
		return nil, fmt.Errorf("task %q alone: %w", state.Name, err)
	}
	var spans []wrap.Span
	if err := json.Unmarshal(trace, &spans); err != nil || len(spans) != 1 {
		return nil, fmt.Errorf("task %q alone: its trace is %.300s", state.Name, trace)
	}
	if s.counts {
		r := s.runs[state.Name]
		if r == nil {
			r = &taskRuns{}
			s.runs[state.Name] = r
		}
		r.Wall = append(r.Wall, time.Duration(spans[0].RunUS)*time.Microsecond)
		r.CPU = append(r.CPU, time.Duration(spans[0].CPUUS)*time.Microsecond)
	}
	return body, nil
}

// Parallel runs the branches one after the other, as an Executor.
func (s *solo) Parallel(ctx context.Context, state *workflow.State, input json.RawMessage) ([]json.RawMessage, error) {
	return workflow.RunInTurn(ctx, state, input, s)
}

func (s *solo) closeIdle() {
	for _, c := range s.clients {
		c.CloseIdleConnections()
	}
}

// refit gives a profile the times that its functions took alone in a batch. What
// a tracer found (which periods, in which order and proportion) stays.
func (s *soloRuns) refit(p *profile.Profile) *profile.Profile {
	out := *p
	out.Functions = slices.Clone(p.Functions)
	for i := range out.Functions {
		f := &out.Functions[i]
		warm, cold := gather(s.Warm, f.Tasks), gather(s.Cold, f.Tasks)
		if len(warm.Wall) == 0 {
			continue
		}
		was := *f
		f.Wall, f.CPU, f.Walls = profile.NewStat(warm.Wall), profile.NewStat(warm.CPU), profile.NewWalls(warm.Wall)
		f.Runs, f.RunQueue = len(warm.Wall), 0
		f.Periods = stretched(&was, f.Wall.Mean, f.CPU.Mean)
		if len(cold.Wall) > 0 {
			f.Cold, f.ColdCPU = profile.NewStat(cold.Wall), profile.NewStat(cold.CPU)
		}
	}
	return &out
}

func gather(by map[string]*taskRuns, tasks []string) (all taskRuns) {
	for _, t := range tasks {
		if r := by[t]; r != nil {
			all.Wall, all.CPU = append(all.Wall, r.Wall...), append(all.CPU, r.CPU...)
		}
	}
	return all
}

// stretched are the periods with another mean wall and CPU time: computing
// scales with CPU time, and blocks take the rest.
func stretched(f *profile.Function, wall, cpu time.Duration) []profile.Period {
	var on, off time.Duration
	for _, p := range f.Periods {
		if p.Class == profile.Block {
			off += p.Mean
		} else {
			on += p.Mean
		}
	}
	byOn, byOff := 1.0, 1.0
	switch {
	case on > 0 && off > 0 && f.CPU.Mean > 0 && float64(on)*float64(cpu)/float64(f.CPU.Mean) < float64(wall):
		byOn = float64(cpu) / float64(f.CPU.Mean)
		byOff = (float64(wall) - byOn*float64(on)) / float64(off)
	case on+off > 0:
		byOn = float64(wall) / float64(on+off)
		byOff = byOn
	}
	out := slices.Clone(f.Periods)
	longest := 0
	rest := wall
	for i := range out {
		by := byOn
		if out[i].Class == profile.Block {
			by = byOff
			out[i].Served = time.Duration(float64(out[i].Served) * by)
		}
		out[i].Mean = time.Duration(float64(out[i].Mean) * by)
		out[i].StdDev = time.Duration(float64(out[i].StdDev) * by)
		rest -= out[i].Mean
		if out[i].Mean > out[longest].Mean {
			longest = i
		}
	}
	out[longest].Mean += rest // what rounding left
	return out
}

// soloOf is the workflow's of a batch on as many CPUs; nil in archives that have
// none.
func (w *measuredWorkflow) soloOf(begin time.Time, cpus int) *soloRuns {
	for _, s := range w.solos {
		if s.Begin.Equal(begin) && (s.CPUs == cpus || s.CPUs == 0) {
			return s
		}
	}
	return nil
}

var _ workflow.Executor = (*solo)(nil)
