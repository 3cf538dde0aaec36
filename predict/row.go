package predict

import (
	"github.com/chiron-faas/chiron/workflow"
)

// Tasks of one process that hand whole results on to each other are one call of
// it (package wrap, row.go): the first costs what a call costs, each further one
// Calibration.Row. Which these are depends on the definition, known once, and on
// the plan.

// maxRow is the most tasks of one call: host.MaxRow, which a test compares.
const maxRow = 64

// link notes for each task the one whose whole result it is given, in d and in
// what is below.
func (p *Predictor) link(d *workflow.Definition) {
	for _, s := range d.States {
		for _, b := range s.Branches {
			p.link(b)
		}
		if s.Type != workflow.Task {
			continue
		}
		if row := d.Row(s); len(row) > 1 {
			p.tasks[p.index[row[1].Name]].after = p.index[row[0].Name]
		}
	}
}

// line says for each task which one of its process' call it is, from 0, and of how
// many the call may be. Tasks are in the order in which they run.
func (l *layout) line(p *Predictor) {
	l.rows = l.rows[:0]
	for t := range p.tasks {
		number := 0
		if before := p.tasks[t].after; before >= 0 && l.handsOn(p, before, t) {
			most := maxRow
			if uses := l.processes[l.places[t].process].uses; uses > 0 { // the next worker's turn may be within
				most = min(most, uses)
			}
			number = (l.rows[before] + 1) % most
		}
		l.rows = append(l.rows, number)
	}
}

// handsOn says whether a task that is given the whole result of another is in the
// same call.
func (l *layout) handsOn(p *Predictor, before, t int) bool {
	in := l.places[t].process
	if p.calibration.Row == 0 || in < 0 || l.places[before].process != in {
		return false
	}
	// A process that serves one request and stage takes no second stage, and what
	// wrap 1 walks in another wrap is a call for each task.
	stages := p.tasks[before].stage != p.tasks[t].stage
	return !stages || !l.processes[in].mode.PerRequest() && l.places[t].wrap == 0 && !l.orchestrated
}
