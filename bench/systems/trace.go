package systems

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/workflow"
	"github.com/chiron-faas/chiron/wrap"
)

// traced is a request with what its tasks did.
type traced struct {
	// Latency as the caller saw it, µs.
	Latency int64 `json:"latency_us"`
	// Spans of the tasks: the task's index in the definition's order, then when its
	// handler began and ended, µs after the request's arrival at what walks the
	// workflow.
	Spans [][3]int64 `json:"spans"`
}

// readTrace makes a trace small.
func readTrace(d *workflow.Definition, header string, latency time.Duration) (traced, error) {
	var spans []wrap.Span
	if err := json.Unmarshal([]byte(header), &spans); err != nil {
		return traced{}, fmt.Errorf("a request's trace is no list of spans: %w", err)
	}
	index := make(map[string]int)
	for i, t := range d.Tasks() {
		index[t.Name] = i
	}
	out := traced{Latency: latency.Microseconds()}
	for _, s := range spans {
		i, ok := index[s.Task]
		if !ok {
			return traced{}, fmt.Errorf("a request's trace has a task %q, which the workflow does not", s.Task)
		}
		out.Spans = append(out.Spans, [3]int64{int64(i), s.BeganUS, s.BeganUS + s.RunUS})
	}
	slices.SortFunc(out.Spans, func(a, b [3]int64) int { return int(a[0] - b[0]) })
	once := len(out.Spans) == len(index)
	for i, s := range out.Spans {
		once = once && s[0] == int64(i)
	}
	if !once {
		return traced{}, fmt.Errorf("a request's trace has %d spans, and not one of each of the %d tasks", len(out.Spans), len(index))
	}
	return out, nil
}

// path is the time of the request during which none of its functions ran: our own.
func (t *traced) path() time.Duration {
	byBegin := slices.SortedFunc(slices.Values(t.Spans), func(a, b [3]int64) int { return int(a[1] - b[1]) })
	ran, until := int64(0), int64(0)
	for _, s := range byBegin {
		if begin := max(s[1], until); s[2] > begin {
			ran += s[2] - begin
			until = s[2]
		}
	}
	return time.Duration(t.Latency-ran) * time.Microsecond
}

// phase of a parallel function in a request, from its stage's begin.
type phase struct {
	start, run, end time.Duration
}

// phases are those of the functions of stages with more than one. A stage begins
// when the last function of the one before has ended.
func (t *traced) phases(d *workflow.Definition) []phase {
	var all []phase
	index := make(map[string]int)
	for i, task := range d.Tasks() {
		index[task.Name] = i
	}
	begin := int64(0)
	for _, stage := range d.Stages() {
		tasks := stage.Root.Tasks()
		end := begin
		for _, task := range tasks {
			s := t.Spans[index[task.Name]]
			end = max(end, s[2])
			if len(tasks) > 1 {
				all = append(all, phase{start: micros(s[1] - begin), run: micros(s[2] - s[1]), end: micros(s[2] - begin)})
			}
		}
		begin = end
	}
	return all
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
