package accuracy

import (
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// Task is what a learned model may know of one task in a placement: where it
// runs, and how its function behaves alone. Durations are nanoseconds in JSON.
type Task struct {
	Name string `json:"name"`
	// Stage, Wrap, and Process in the wrap count from 0.
	Stage   int  `json:"stage"`
	Wrap    int  `json:"wrap"`
	Process int  `json:"process"`
	Forked  bool `json:"forked"`
	// Wall time of the function alone, and its parts by class.
	Wall   time.Duration `json:"wall_ns"`
	CPU    time.Duration `json:"cpu_ns"`
	Native time.Duration `json:"native_ns"`
	Block  time.Duration `json:"block_ns"`
	// Periods is their number.
	Periods int `json:"periods"`
}

// features of a placement's tasks, in the order of the definition.
func features(d *workflow.Definition, pl *plan.Plan, p *profile.Profile) []Task {
	places := pl.Places()
	var all []Task
	for i, stage := range d.Stages() {
		for _, t := range stage.Root.Tasks() {
			at := places[t.Name]
			task := Task{
				Name: t.Name, Stage: i, Wrap: at.Wrap, Process: at.Process,
				Forked: pl.Wraps[at.Wrap].Processes[at.Process].Mode == plan.Fork,
			}
			if f, ok := p.Task(t.Name); ok {
				task.Wall, task.Periods = f.Wall.Mean, len(f.Periods)
				for _, period := range f.Periods {
					switch period.Class {
					case profile.CPU:
						task.CPU += period.Mean
					case profile.Native:
						task.Native += period.Mean
					case profile.Block:
						task.Block += period.Mean
					}
				}
			}
			all = append(all, task)
		}
	}
	return all
}
