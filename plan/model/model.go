package model

import (
	"errors"
	"fmt"
	"strings"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// Model names a deployment model.
type Model string

// The deployment models.
const (
	// OneToOne gives every task a wrap with a CPU and a resident process of its
	// own, and an orchestrator calls them through the gateway, as in OpenFaaS and
	// Knative.
	OneToOne Model = "one-to-one"
	// SAND runs every task in a process of its own, forked for the request, all
	// in one wrap.
	SAND Model = "sand"
	// Faastlane runs tasks in series as threads of the resident process, and
	// every branch of a Parallel in a process forked for the request, all in one
	// wrap with a CPU for each branch.
	Faastlane Model = "faastlane"
	// FaastlaneT runs all tasks as threads of one resident process.
	FaastlaneT Model = "faastlane-t"
	// FaastlanePlus is Faastlane with at most PlusProcesses processes in a wrap.
	FaastlanePlus Model = "faastlane+"
	// FaastlaneP is Faastlane with resident processes instead of forked ones.
	FaastlaneP Model = "faastlane-p"
)

// PlusProcesses is the most processes of a Faastlane+ wrap: the paper's figure 6
// deploys 5 to each.
const PlusProcesses = 5

// All returns the models in the order of reports.
func All() []Model {
	return []Model{OneToOne, SAND, Faastlane, FaastlaneT, FaastlanePlus, FaastlaneP}
}

// Input is what a model makes a plan of.
type Input struct {
	Workflow   string // the project's name
	Definition *workflow.Definition
	Functions  map[string]*workflow.Function
	// Profile tells which functions write the same file; may be nil.
	Profile *profile.Profile
	// Rules that the project asks of its plans; may be nil.
	Rules *workflow.Rules
}

// ErrConflict says that a model puts functions into one wrap that may not share
// one, or breaks the project's rules otherwise.
var ErrConflict = errors.New("this deployment model cannot run the workflow")

// Build makes the model's plan. It fails for a name that is no model, for a
// workflow without tasks, and with ErrConflict.
func Build(m Model, in Input) (*plan.Plan, error) {
	if len(in.Definition.Tasks()) == 0 {
		return nil, errors.New("the workflow has no Task state: there is nothing to place")
	}
	var wraps []plan.Wrap
	calls := plan.Direct
	switch m {
	case OneToOne:
		wraps, calls = oneToOne(in.Definition), plan.ThroughGateway
	case SAND:
		wraps = []plan.Wrap{wrapOf(sand(in.Definition))}
	case Faastlane:
		wraps = []plan.Wrap{wrapOf(faastlane(in.Definition, plan.Fork))}
	case FaastlaneT:
		wraps = []plan.Wrap{wrapOf([]plan.Process{{Mode: plan.Pool, Tasks: names(in.Definition.Tasks())}})}
	case FaastlanePlus:
		wraps = spread(faastlane(in.Definition, plan.Fork), PlusProcesses)
	case FaastlaneP:
		wraps = []plan.Wrap{wrapOf(faastlane(in.Definition, plan.Pool))}
	default:
		return nil, fmt.Errorf("%q is no deployment model: use one of %s", m, list())
	}
	for i := range wraps {
		wraps[i].Name = fmt.Sprintf("wrap-%d", i+1)
	}
	p := &plan.Plan{Workflow: in.Workflow, Model: string(m), Calls: calls, Wraps: wraps}
	err := p.Apart(plan.NewConflicts(in.Definition, in.Functions, in.Profile, in.Rules))
	if in.Rules != nil {
		err = errors.Join(err, p.Within(in.Rules.Limits, in.Profile))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", m, ErrConflict, err)
	}
	return p, nil
}

func list() string {
	var all []string
	for _, m := range All() {
		all = append(all, string(m))
	}
	return strings.Join(all, ", ")
}

func oneToOne(d *workflow.Definition) []plan.Wrap {
	var wraps []plan.Wrap
	for _, t := range d.Tasks() {
		wraps = append(wraps, wrapOf([]plan.Process{{Mode: plan.Pool, Tasks: []string{t.Name}}}))
	}
	return wraps
}

// sand has as many processes as the widest stage has tasks; those of a stage
// without a neighbour to run beside use the first.
func sand(d *workflow.Definition) []plan.Process {
	var processes []plan.Process
	for _, s := range d.Stages() {
		for i, t := range s.Root.Tasks() {
			processes = add(processes, i, plan.Fork, []string{t.Name})
		}
	}
	return processes
}

// faastlane has a resident process for the tasks in series, if there are any,
// and one of the given mode for each strand of the widest stage.
func faastlane(d *workflow.Definition, mode plan.Mode) []plan.Process {
	var series []string
	var branches []plan.Process
	for _, s := range d.Stages() {
		strands := s.Root.Strands()
		if len(strands) == 1 {
			series = append(series, strands[0]...)
			continue
		}
		for i, strand := range strands {
			branches = add(branches, i, mode, strand)
		}
	}
	// The resident process idles while branches run: they may have its CPU.
	if len(series) == 0 {
		return branches
	}
	main := plan.Process{Mode: plan.Pool, Tasks: series}
	if mode == plan.Pool && len(branches) > 0 {
		// Both are resident: one process does both.
		branches[0].Tasks = append(main.Tasks, branches[0].Tasks...)
		return branches
	}
	return append([]plan.Process{main}, branches...)
}

// add gives tasks to the i-th process, which may be the next new one.
func add(processes []plan.Process, i int, mode plan.Mode, tasks []string) []plan.Process {
	if i == len(processes) {
		processes = append(processes, plan.Process{Mode: mode})
	}
	processes[i].Tasks = append(processes[i].Tasks, tasks...)
	return processes
}

// wrapOf pins each process to a CPU of its own; a resident process before forked
// ones, which idles while they run, shares the first one's.
func wrapOf(processes []plan.Process) plan.Wrap {
	w := plan.Wrap{Processes: processes}
	resident := processes[0].Mode == plan.Pool && len(processes) > 1 && processes[1].Mode == plan.Fork
	for i := range processes {
		processes[i].CPU = i
		if resident && i > 0 {
			processes[i].CPU = i - 1
		}
		w.CPUs = max(w.CPUs, processes[i].CPU+1)
	}
	return w
}

// spread cuts the processes into wraps of at most n forked ones.
func spread(processes []plan.Process, n int) []plan.Wrap {
	var wraps []plan.Wrap
	if processes[0].Mode == plan.Pool {
		n++ // the first wrap's resident process is no branch
	}
	for len(processes) > n {
		wraps = append(wraps, wrapOf(processes[:n:n]))
		processes = processes[n:]
		n = PlusProcesses
	}
	return append(wraps, wrapOf(processes))
}

func names(tasks []*workflow.State) []string {
	out := make([]string, len(tasks))
	for i, t := range tasks {
		out[i] = t.Name
	}
	return out
}
