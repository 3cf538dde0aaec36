package profile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/chiron-faas/chiron/internal/strictjson"
)

// The JSON form. Separate types, so that the file's keys carry units and do
// not change when a field in code is renamed.
type (
	profileJSON struct {
		APIVersion string         `json:"apiVersion"`
		Workflow   string         `json:"workflow"`
		Created    time.Time      `json:"created"`
		Machine    Machine        `json:"machine"`
		Functions  []functionJSON `json:"functions"`
	}
	functionJSON struct {
		Name      string       `json:"name"`
		Tasks     []string     `json:"tasks"`
		Lang      string       `json:"lang"`
		Version   string       `json:"version"`
		Tracer    string       `json:"tracer"`
		Slowdown  float64      `json:"slowdown"`
		Runs      int          `json:"runs"`
		Wall      statJSON     `json:"wall"`
		CPU       statJSON     `json:"cpu"`
		Walls     []millis     `json:"walls_ms"`
		Cold      statJSON     `json:"cold"`
		ColdCPU   statJSON     `json:"cold_cpu"`
		RunQueue  millis       `json:"run_queue_ms"`
		Periods   []periodJSON `json:"periods"`
		PeakRSS   int64        `json:"peak_rss_bytes"`
		Memory    Memory       `json:"memory"`
		Files     []string     `json:"files"`
		Sockets   []string     `json:"sockets"`
		InputLen  int          `json:"input_bytes"`
		OutputLen int          `json:"output_bytes"`
		Notes     []string     `json:"notes"`
	}
	statJSON struct {
		Mean   millis `json:"mean_ms"`
		StdDev millis `json:"stddev_ms"`
		Min    millis `json:"min_ms"`
		P50    millis `json:"p50_ms"`
		P99    millis `json:"p99_ms"`
		Max    millis `json:"max_ms"`
	}
	// periodJSON tells where the period starts, for people who read the file
	// and to notice periods that overlap. A file edited by hand may leave At out.
	periodJSON struct {
		At     *millis `json:"at_ms,omitempty"`
		Class  Class   `json:"class"`
		Cause  string  `json:"cause,omitempty"`
		Mean   millis  `json:"mean_ms"`
		StdDev millis  `json:"stddev_ms"`
		Served millis  `json:"served_ms,omitempty"`
	}
)

// maxMillis bounds a time in a file: 10⁸ ms, a bit over a day. Up to there a
// float64 of milliseconds holds every nanosecond.
const maxMillis = 1e8

// millis is a time.Duration as a JSON number of milliseconds, exact to the
// nanosecond.
type millis time.Duration

func (m millis) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(m)/1e6, 'f', -1, 64), nil
}

func (m *millis) UnmarshalJSON(data []byte) error {
	ms, err := strconv.ParseFloat(string(data), 64)
	if err != nil {
		return fmt.Errorf("%s is not a number of milliseconds", data)
	}
	if math.Abs(ms) > maxMillis {
		return fmt.Errorf("%s ms is beyond a day", data)
	}
	*m = millis(math.Round(ms * 1e6))
	return nil
}

// Encode writes the profile as JSON, one period, statistic or list a line, in
// the same order for the same profile.
func (p *Profile) Encode(w io.Writer) error {
	if err := p.Validate(); err != nil {
		return fmt.Errorf("encode the profile of %q: %w", p.Workflow, err)
	}
	var e encoder
	e.text("{\n")
	e.field(1, "apiVersion", APIVersion, ",")
	e.field(1, "workflow", p.Workflow, ",")
	e.field(1, "created", p.Created, ",")
	e.field(1, "machine", p.Machine, ",")
	e.text("  \"functions\": [\n")
	for i := range p.Functions {
		e.function(&p.Functions[i])
		e.text(comma(i, len(p.Functions)))
	}
	e.text("  ]\n}\n")
	if e.err != nil {
		return fmt.Errorf("encode the profile of %q: %w", p.Workflow, e.err)
	}
	_, err := w.Write(e.buf.Bytes())
	return err
}

type encoder struct {
	buf bytes.Buffer
	err error // the first
}

func (e *encoder) text(s string) { e.buf.WriteString(s) }

func (e *encoder) value(v any) {
	data, err := json.Marshal(v)
	if err != nil && e.err == nil {
		e.err = err
	}
	e.buf.Write(data)
}

func (e *encoder) field(depth int, key string, v any, end string) {
	for range depth {
		e.text("  ")
	}
	e.value(key)
	e.text(": ")
	e.value(v)
	e.text(end + "\n")
}

func (e *encoder) function(f *Function) {
	const depth = 3
	e.text("    {\n")
	e.field(depth, "name", f.Name, ",")
	e.field(depth, "tasks", f.Tasks, ",")
	e.field(depth, "lang", f.Lang, ",")
	e.field(depth, "version", f.Version, ",")
	e.field(depth, "tracer", f.Tracer, ",")
	e.field(depth, "slowdown", f.Slowdown, ",")
	e.field(depth, "runs", f.Runs, ",")
	e.field(depth, "wall", newStatJSON(f.Wall), ",")
	e.field(depth, "cpu", newStatJSON(f.CPU), ",")
	e.field(depth, "walls_ms", newMillis(f.Walls), ",")
	e.field(depth, "cold", newStatJSON(f.Cold), ",")
	e.field(depth, "cold_cpu", newStatJSON(f.ColdCPU), ",")
	e.field(depth, "run_queue_ms", millis(f.RunQueue), ",")
	e.text("      \"periods\": [\n")
	var at millis
	for i, p := range f.Periods {
		e.text("        ")
		e.value(periodJSON{At: &at, Class: p.Class, Cause: p.Cause, Mean: millis(p.Mean), StdDev: millis(p.StdDev), Served: millis(p.Served)})
		e.text(comma(i, len(f.Periods)))
		at += millis(p.Mean)
	}
	e.text("      ],\n")
	e.field(depth, "peak_rss_bytes", f.PeakRSS, ",")
	e.field(depth, "memory", f.Memory, ",")
	e.field(depth, "files", list(f.Files), ",")
	e.field(depth, "sockets", list(f.Sockets), ",")
	e.field(depth, "input_bytes", f.InputBytes, ",")
	e.field(depth, "output_bytes", f.OutputBytes, ",")
	e.field(depth, "notes", list(f.Notes), "")
	e.text("    }")
}

func comma(i, n int) string {
	if i+1 < n {
		return ",\n"
	}
	return "\n"
}

// list makes nil an empty list, so that the file never says null.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func newMillis(all []time.Duration) []millis {
	out := make([]millis, len(all))
	for i, d := range all {
		out[i] = millis(d)
	}
	return out
}

func newStatJSON(s Stat) statJSON {
	return statJSON{millis(s.Mean), millis(s.StdDev), millis(s.Min), millis(s.P50), millis(s.P99), millis(s.Max)}
}

func (s statJSON) stat() Stat {
	return Stat{
		time.Duration(s.Mean), time.Duration(s.StdDev), time.Duration(s.Min),
		time.Duration(s.P50), time.Duration(s.P99), time.Duration(s.Max),
	}
}

// Decode reads what Encode writes, and nothing that is not quite that: a
// truncated text, another version, an unknown key, or figures that cannot be
// are errors that say where.
func Decode(data []byte) (*Profile, error) {
	var file profileJSON
	if err := strictjson.Decode(data, "a profile", APIVersion, &file); err != nil {
		return nil, err
	}
	p := &Profile{Workflow: file.Workflow, Machine: file.Machine, Created: file.Created}
	for i := range file.Functions {
		f, err := file.Functions[i].function()
		if err != nil {
			return nil, err
		}
		p.Functions = append(p.Functions, f)
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return p, nil
}

func (j *functionJSON) function() (Function, error) {
	f := Function{
		Name: j.Name, Tasks: j.Tasks, Lang: j.Lang, Version: j.Version,
		Tracer: j.Tracer, Slowdown: j.Slowdown, Runs: j.Runs,
		Wall: j.Wall.stat(), CPU: j.CPU.stat(),
		Cold: j.Cold.stat(), ColdCPU: j.ColdCPU.stat(), RunQueue: time.Duration(j.RunQueue),
		PeakRSS: j.PeakRSS, Memory: j.Memory,
		InputBytes: j.InputLen, OutputBytes: j.OutputLen,
	}
	if len(j.Files) > 0 {
		f.Files = j.Files
	}
	if len(j.Sockets) > 0 {
		f.Sockets = j.Sockets
	}
	for _, m := range j.Walls {
		f.Walls = append(f.Walls, time.Duration(m))
	}
	if len(j.Notes) > 0 {
		f.Notes = j.Notes
	}
	var end millis
	for i, p := range j.Periods {
		if p.Mean < 0 {
			return f, fmt.Errorf("function %q: period %d takes %v: a period cannot be negative", j.Name, i+1, time.Duration(p.Mean))
		}
		// A microsecond of slack, for files edited by hand.
		if p.At != nil && *p.At < end-millis(time.Microsecond) {
			return f, fmt.Errorf("function %q: period %d starts at %v, before the one before it ends at %v: periods may not overlap",
				j.Name, i+1, time.Duration(*p.At), time.Duration(end))
		}
		if p.At != nil && *p.At > end+millis(time.Microsecond) {
			return f, fmt.Errorf("function %q: period %d starts at %v, but the one before it ends at %v: periods may leave no gap",
				j.Name, i+1, time.Duration(*p.At), time.Duration(end))
		}
		end += p.Mean
		f.Periods = append(f.Periods, Period{
			Class: p.Class, Cause: p.Cause, Mean: time.Duration(p.Mean), StdDev: time.Duration(p.StdDev), Served: time.Duration(p.Served),
		})
	}
	return f, nil
}
