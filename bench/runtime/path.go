package runtime

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/bench/load"
	"github.com/chiron-faas/chiron/bench/serving"
	"github.com/chiron-faas/chiron/internal/quantile"
	"github.com/chiron-faas/chiron/plan"
)

const (
	// pathTarget is the most that a workflow of ten functions in four stages may
	// take besides its functions, ms.
	pathTarget = 1.5
	// pathPause between requests: children that were taken are replaced meanwhile,
	// and do not take CPUs from the next placement's request.
	pathPause = 30 * time.Millisecond
	// pathWarm rounds are not counted.
	pathWarm = 3
	// pathRow is how many requests follow each other where they do; the first is
	// not counted.
	pathRow = 6
)

// pathStages are the tasks of each stage.
var pathStages = [][]string{{"A"}, {"B1", "B2", "B3", "B4"}, {"C1", "C2", "C3", "C4"}, {"D"}}

// pathFunctions are what the functions do; all say when they began and ended.
// Requests that follow each other are asked of resident processes only: others
// would be measured forking, which is throughput's.
var pathFunctions = []struct {
	name, input string
	computes    bool
	row         int // requests that follow each other
}{
	{"nothing, in a row", `{}`, false, pathRow},
	{"nothing", `{}`, false, 1},
	{"wait 2 ms", `{"wait":0.002}`, false, 1},
	{"compute 1 ms", `{"count":25000}`, true, 1},
}

// pathPlaces are placements by process, and which of the processes begin a wrap.
var pathPlaces = []struct {
	name      string
	processes [][]string
	wraps     []int
	modes     []plan.Mode
}{
	{"1 process", [][]string{{"A", "B1", "B2", "B3", "B4", "C1", "C2", "C3", "C4", "D"}}, []int{0}, plan.Modes()},
	{"2 processes", [][]string{{"A", "B1", "B2", "C1", "C2", "D"}, {"B3", "B4", "C3", "C4"}}, []int{0}, []plan.Mode{plan.Pool, plan.Standby}},
	{"4 processes", [][]string{{"A", "B1", "C1", "D"}, {"B2", "C2"}, {"B3", "C3"}, {"B4", "C4"}}, []int{0}, plan.Modes()},
	{"2 wraps", [][]string{{"A", "B1", "B2", "C1", "C2", "D"}, {"B3", "B4", "C3", "C4"}}, []int{0, 1}, []plan.Mode{plan.Pool, plan.Standby}},
}

// stepHandler is a function of a stage. Its result has its own time, begin and end
// by CLOCK_MONOTONIC in ns, and the first of a stage's hands on what came before.
func stepHandler(stage int, first bool) string {
	keep := "False"
	if first {
		keep = "True"
	}
	return fmt.Sprintf(`import time


def handler(event, context):
    begun = time.monotonic_ns()
    parts = event if isinstance(event, list) else [event]
    spans = []
    if %s:
        for part in parts:
            spans += part.get("spans", [])
    wait, count = parts[0].get("wait", 0), parts[0].get("count", 0)
    if wait:
        time.sleep(wait)
    n = 0
    for i in range(count):
        n += i
    spans.append([%d, begun, time.monotonic_ns()])
    return {"wait": wait, "count": count, "spans": spans}
`, keep, stage)
}

// pathProject places the workflow.
func pathProject(name string, processes [][]string, wraps []int, mode plan.Mode) *project {
	p := &project{name: name, functions: make(map[string]string), pinned: true}
	states := object{}
	for i, tasks := range pathStages {
		next := ""
		if i+1 < len(pathStages) {
			next = pathStages[i+1][0][:1]
		}
		if len(tasks) == 1 {
			states[tasks[0]] = task(tasks[0], next)
		} else {
			states[tasks[0][:1]] = parallel(tasks, next)
		}
		for j, name := range tasks {
			p.functions[strings.ToLower(name)] = stepHandler(i, j == 0)
		}
	}
	p.definition = object{"StartAt": "A", "States": states}
	for i, tasks := range processes {
		if slices.Contains(wraps, i) {
			p.wraps = append(p.wraps, plan.Wrap{})
		}
		w := &p.wraps[len(p.wraps)-1]
		w.Processes = append(w.Processes, plan.Process{Mode: mode, Tasks: tasks})
	}
	return p
}

// span is one function's own time in a stage, ns of CLOCK_MONOTONIC.
type span struct {
	stage      int
	begin, end int64
}

// parseSpans reads what the last function answered, and checks that every one of
// the functions ran once, in its stage, within the request.
func parseSpans(body []byte, sent, got int64) ([]span, error) {
	var answer struct {
		Spans [][3]int64 `json:"spans"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("the workflow answered %.200q: %w", body, err)
	}
	ran := make([]int, len(pathStages))
	var spans []span
	for _, s := range answer.Spans {
		if s[0] < 0 || s[0] >= int64(len(ran)) || s[1] < sent || s[2] < s[1] || s[2] > got {
			return nil, fmt.Errorf("a function of stage %d ran from %d to %d, the request from %d to %d", s[0], s[1], s[2], sent, got)
		}
		ran[s[0]]++
		spans = append(spans, span{int(s[0]), s[1], s[2]})
	}
	for i, n := range ran {
		if n != len(pathStages[i]) {
			return nil, fmt.Errorf("%d functions of stage %d told when they ran, of %d", n, i+1, len(pathStages[i]))
		}
	}
	return spans, nil
}

// critical is the own time of the functions that ended last in their stages: what
// the request would have taken if nothing but these had been to do.
func critical(spans []span) (ns int64) {
	last := make(map[int]span)
	for _, s := range spans {
		if l, ok := last[s.stage]; !ok || s.end > l.end {
			last[s.stage] = s
		}
	}
	for _, s := range last {
		ns += s.end - s.begin
	}
	return ns
}

// covered is how long at least one function ran.
func covered(spans []span) (ns int64) {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.begin, b.begin) })
	until := int64(0)
	for _, s := range spans {
		if s.end > until {
			ns += s.end - max(s.begin, until)
			until = s.end
		}
	}
	return ns
}

// pathCell is one placement with one kind of functions.
type pathCell struct {
	keys     []string
	computes bool
	row      int
	conn     *load.Conn
	// By request, ms.
	whole, own, path, idle []float64
}

// ask makes one request, and divides its time where it counts.
func (c *pathCell) ask(ctx context.Context, counts bool) error {
	sent := monotonic()
	answer, err := c.conn.Post(ctx, false)
	got := monotonic()
	if err != nil {
		return err
	}
	spans, err := parseSpans(answer.Body, sent, got)
	if err != nil || !counts {
		return err
	}
	whole, own := got-sent, critical(spans)
	c.whole = append(c.whole, float64(whole)/1e6)
	c.own = append(c.own, float64(own)/1e6)
	c.path = append(c.path, float64(whole-own)/1e6)
	c.idle = append(c.idle, float64(whole-covered(spans))/1e6)
	return nil
}

// wholePath asks a workflow of ten functions in four stages, in several placements,
// through the gateway, one request at a time.
func wholePath(ctx context.Context, o Options, dir string) (_ []Table, err error) {
	if o.Rounds == 0 {
		o.Rounds = 41
	}
	var cells []*pathCell
	for i, place := range pathPlaces {
		for _, mode := range place.modes {
			o.Progress(fmt.Sprintf("start %s, %s", place.name, mode))
			p := pathProject(fmt.Sprintf("%s-%d", mode, i), place.processes, place.wraps, mode)
			p.runtime = o.Runtime
			folder := filepath.Join(dir, p.name)
			if err := p.write(folder); err != nil {
				return nil, err
			}
			served, err2 := serving.Start(ctx, serving.ProgramOptions{
				Chiron: o.Chiron, Project: folder, Name: p.name, State: filepath.Join(dir, "r"+strconv.Itoa(len(cells))),
			})
			if err2 != nil {
				return nil, err2
			}
			defer func() { err = errors.Join(err, served.Stop()) }()
			for _, f := range pathFunctions {
				if f.row > 1 && mode.PerRequest() {
					continue
				}
				target := served.Gateway()
				target.Body = []byte(f.input)
				conn, err2 := load.Dial(ctx, target)
				if err2 != nil {
					return nil, err2
				}
				defer func() { _ = conn.Close() }()
				cells = append(cells, &pathCell{
					keys: []string{place.name, string(mode), f.name}, computes: f.computes, row: f.row, conn: conn,
				})
			}
		}
	}
	// The functions' kinds change slowest: a placement rests between its requests.
	slices.SortStableFunc(cells, func(a, b *pathCell) int { return cmp.Compare(kindOf(a), kindOf(b)) })
	for round := range o.Rounds + pathWarm {
		o.Progress(fmt.Sprintf("path: round %d of %d", max(0, round-pathWarm+1), o.Rounds))
		for _, c := range cells {
			if err := sleep(ctx, pathPause); err != nil {
				return nil, err
			}
			for i := range c.row {
				if err := c.ask(ctx, round >= pathWarm && (i > 0 || c.row == 1)); err != nil {
					return nil, fmt.Errorf("%s: %w", strings.Join(c.keys, ", "), err)
				}
			}
		}
	}
	return []Table{pathTable(cells, o.Rounds)}, nil
}

func kindOf(c *pathCell) int {
	for i, f := range pathFunctions {
		if f.name == c.keys[2] {
			return i
		}
	}
	return len(pathFunctions)
}

func pathTable(cells []*pathCell, rounds int) Table {
	t := Table{
		Experiment: "path",
		Title:      fmt.Sprintf("A workflow of 10 functions in 4 stages (1, 4, 4, 1) through the gateway, median of %d rounds", rounds),
		Keys:       []string{"placement", "mode", "functions", fmt.Sprintf("≤ %.1f ms", pathTarget)},
		Figures:    []string{"path ms", "p90 ms", "none runs ms", "functions ms", "whole ms"},
	}
	for _, c := range cells {
		ms := quantile.Median(c.path)
		if c.computes { // who waits for another function's interpreter lock waits for no path of ours
			ms = quantile.Median(c.idle)
		}
		verdict := "missed"
		if ms <= pathTarget {
			verdict = "met"
		}
		t.add(append(c.keys, verdict), quantile.Median(c.path), quantile.Nearest(slices.Sorted(slices.Values(c.path)), 90),
			quantile.Median(c.idle), quantile.Median(c.own), quantile.Median(c.whole))
	}
	return t
}
