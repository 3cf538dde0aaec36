package main

import (
	"io"
	"time"

	"github.com/chiron-faas/chiron/predict"
)

const (
	// timelineCells is how many characters the whole of a timeline takes.
	timelineCells = 66
	// timelineName is the most of a task's name that is shown.
	timelineName = 24
	// timelineTasks is how many tasks are drawn; the rest is only counted.
	timelineTasks = 40
)

// signs of the activities, the more important last: a cell shows the last that
// takes the most of it.
func sign(a predict.Activity) rune {
	switch a {
	case predict.CPU:
		return '█'
	case predict.Native:
		return '▓'
	case predict.Block:
		return '░'
	case predict.Lock:
		return '-'
	case predict.Queue:
		return ','
	}
	return '·' // predict.Start
}

// printTimeline draws what each task's thread is predicted to do, one task a line.
func printTimeline(w io.Writer, s style, p *predict.Prediction) {
	if p.Latency <= 0 || len(p.Timeline) == 0 {
		return
	}
	var tasks []string
	spans := make(map[string][]predict.Span)
	for _, span := range p.Timeline {
		if spans[span.Task] == nil {
			tasks = append(tasks, span.Task)
		}
		spans[span.Task] = append(spans[span.Task], span)
	}
	name := 0
	for _, t := range tasks {
		name = max(name, min(len([]rune(t)), timelineName))
	}
	printf(w, "%s\n", s.dim("predicted: █ computes  ▓ without the lock  ░ waits on a call  - for the lock  , for a CPU  · starts"))
	for i, t := range tasks {
		if i == timelineTasks {
			printf(w, "%s\n", s.dim("… and "+count(len(tasks)-i, "more task")))
			break
		}
		shown := fit(t, timelineName)
		cells := drawSpans(spans[t], p.Latency)
		last := spans[t][len(spans[t])-1].End
		printf(w, "%s%s  %s\n", pad(shown, name+gap, len([]rune(shown))), cells, ms(last))
	}
}

// drawSpans makes a line of cells of equal time: each shows what takes most of
// it, and nothing where nothing does.
func drawSpans(spans []predict.Span, whole time.Duration) string {
	cells := make([]rune, timelineCells)
	most := make([]time.Duration, timelineCells)
	for i := range cells {
		cells[i] = ' '
	}
	for _, span := range spans {
		first := int(span.Start * timelineCells / whole)
		last := int((span.End*timelineCells - 1) / whole)
		for i := max(first, 0); i <= min(last, timelineCells-1); i++ {
			from := max(span.Start, whole*time.Duration(i)/timelineCells)
			to := min(span.End, whole*time.Duration(i+1)/timelineCells)
			if d := to - from; d > most[i] {
				most[i], cells[i] = d, sign(span.Activity)
			}
		}
	}
	return string(cells)
}
