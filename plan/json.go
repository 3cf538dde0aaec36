package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/chiron-faas/chiron/internal/atomicfile"
	"github.com/chiron-faas/chiron/internal/strictjson"
)

// maxFile bounds a plan.json, bytes: a plan of 100,000 tasks has about 5 MB.
const maxFile = 32 << 20

// The JSON form. Separate types, so that the file's keys do not change when a
// field in code is renamed, and so that units stand in keys or values.
type (
	planJSON struct {
		APIVersion string         `json:"apiVersion"`
		Workflow   string         `json:"workflow"`
		Model      string         `json:"model"`
		Objective  *objectiveJSON `json:"objective,omitempty"`
		Calls      Calls          `json:"calls,omitempty"`
		Wraps      []wrapJSON     `json:"wraps"`
	}
	objectiveJSON struct {
		Goal     Goal `json:"goal"`
		MostCPUs int  `json:"mostCPUs,omitempty"`
		// SLO and Predicted as Go writes them ("120ms"); without an SLO it is left
		// out, and Percentile for the mean.
		SLO        duration `json:"slo,omitzero"`
		Percentile float64  `json:"percentile,omitzero"`
		Predicted  duration `json:"predicted"`
		Samples    int      `json:"samples"`
		Seed       uint64   `json:"seed"`
	}
	wrapJSON struct {
		Name        string        `json:"name"`
		CPUs        int           `json:"cpus"`
		MemoryBytes int64         `json:"memoryBytes,omitempty"`
		Concurrency int           `json:"concurrency,omitempty"`
		Processes   []processJSON `json:"processes"`
	}
	processJSON struct {
		Mode Mode `json:"mode"`
		// CPU is left out for Unpinned.
		CPU *int `json:"cpu,omitempty"`
		// SwitchInterval as Go writes it ("5ms"); left out for 0.
		SwitchInterval duration `json:"switchInterval,omitzero"`
		// Ready and Uses are left out for 0.
		Ready int      `json:"ready,omitempty"`
		Uses  int      `json:"uses,omitempty"`
		Tasks []string `json:"tasks"`
	}
)

// duration is a time.Duration in Go's form: "5ms".
type duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration: write \"5ms\" or \"30s\"", text)
	}
	*d = duration(parsed)
	return nil
}

// MarshalJSON implements json.Marshaler: the form of plan.json, its keys always
// in the same order.
func (p *Plan) MarshalJSON() ([]byte, error) {
	file := planJSON{APIVersion: APIVersion, Workflow: p.Workflow, Model: p.Model, Calls: p.Calls, Wraps: make([]wrapJSON, len(p.Wraps))}
	if o := p.Objective; o != nil {
		file.Objective = &objectiveJSON{
			Goal: o.Goal, MostCPUs: o.MostCPUs, SLO: duration(o.SLO), Percentile: o.Percentile,
			Predicted: duration(o.Predicted), Samples: o.Samples, Seed: o.Seed,
		}
	}
	for i, w := range p.Wraps {
		out := wrapJSON{Name: w.Name, CPUs: w.CPUs, MemoryBytes: w.Memory, Concurrency: w.Concurrency, Processes: make([]processJSON, len(w.Processes))}
		for k, process := range w.Processes {
			out.Processes[k] = processJSON{
				Mode: process.Mode, SwitchInterval: duration(process.SwitchInterval), Ready: process.Ready, Uses: process.Uses,
				Tasks: process.Tasks,
			}
			if process.CPU != Unpinned {
				cpu := process.CPU
				out.Processes[k].CPU = &cpu
			}
			if process.Tasks == nil {
				out.Processes[k].Tasks = []string{}
			}
		}
		file.Wraps[i] = out
	}
	return marshal(file)
}

// UnmarshalJSON implements json.Unmarshaler, as strict as Decode.
func (p *Plan) UnmarshalJSON(data []byte) error {
	var file planJSON
	if err := strictjson.Decode(data, "a plan", APIVersion, &file); err != nil {
		return err
	}
	*p = Plan{Workflow: file.Workflow, Model: file.Model, Calls: file.Calls, Wraps: make([]Wrap, len(file.Wraps))}
	if o := file.Objective; o != nil {
		p.Objective = &Objective{
			Goal: o.Goal, MostCPUs: o.MostCPUs, SLO: time.Duration(o.SLO), Percentile: o.Percentile,
			Predicted: time.Duration(o.Predicted), Samples: o.Samples, Seed: o.Seed,
		}
	}
	for i, w := range file.Wraps {
		p.Wraps[i] = Wrap{Name: w.Name, CPUs: w.CPUs, Memory: w.MemoryBytes, Concurrency: w.Concurrency, Processes: make([]Process, len(w.Processes))}
		for k, process := range w.Processes {
			cpu := Unpinned
			if process.CPU != nil {
				cpu = *process.CPU
				if cpu < 0 {
					return fmt.Errorf("wrap %q: process %d: cpu is %d: leave it out for a process that is not pinned", w.Name, k+1, cpu)
				}
			}
			p.Wraps[i].Processes[k] = Process{
				Mode: process.Mode, CPU: cpu, SwitchInterval: time.Duration(process.SwitchInterval), Ready: process.Ready, Uses: process.Uses,
				Tasks: process.Tasks,
			}
		}
	}
	return p.shape()
}

// Encode writes plan.json: indented, one key a line, a process's tasks on one
// line, the same bytes for the same plan.
func (p *Plan) Encode(w io.Writer) error {
	text, err := p.text()
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// Decode reads what Encode writes. An unknown key, another version, a truncated
// text, an unknown process mode, a CPU outside of its wrap are errors that say
// what and where. It does not know the workflow: Check does the rest.
func Decode(data []byte) (*Plan, error) {
	p := new(Plan)
	if err := p.UnmarshalJSON(data); err != nil {
		return nil, err
	}
	return p, nil
}

// Read reads a plan.json; its errors name the file.
func Read(path string) (*Plan, error) {
	data, err := strictjson.ReadFile(path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	p, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("read plan %s: %w", path, err)
	}
	return p, nil
}

// Write writes a plan.json whole or not at all.
func Write(path string, p *Plan) error {
	text, err := p.text()
	if err != nil {
		return err
	}
	return atomicfile.Write(path, text)
}

// Digest is the plan's id: the SHA-256 of what Encode writes of its Placement, in
// hex, as sha256sum prints it for the plan.json of a bundle. So a plan that was
// made anew and places all tasks as before is the same, whatever was predicted of
// it. It is empty for a plan that cannot be encoded.
func (p *Plan) Digest() string {
	text, err := p.Placement().text()
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func (p *Plan) text() ([]byte, error) {
	if err := p.shape(); err != nil {
		return nil, fmt.Errorf("encode the plan of %q: %w", p.Workflow, err)
	}
	data, err := p.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return indent(data)
}

// marshal is json.Marshal without the escapes meant for web pages.
func marshal(v any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(text.Bytes(), "\n"), nil
}

// indent lays JSON out for people and for diff: objects are broken over lines,
// and so are arrays of objects; arrays of anything else stay on their line.
func indent(data []byte) ([]byte, error) {
	var wide bytes.Buffer
	if err := json.Indent(&wide, data, "", "  "); err != nil {
		return nil, err
	}
	wide.WriteByte('\n')
	var text bytes.Buffer
	joining := false
	for line := range bytes.Lines(wide.Bytes()) {
		body := bytes.TrimSpace(line)
		switch {
		case joining && (bytes.Equal(body, []byte("]")) || bytes.Equal(body, []byte("],"))):
			joining = false
			text.Write(body)
			text.WriteByte('\n')
		case joining && len(body) > 0 && body[0] != '"':
			return nil, errors.New("BUG: an array of strings holds something else")
		case joining:
			text.Write(body)
			if body[len(body)-1] == ',' {
				text.WriteByte(' ')
			}
		case bytes.HasSuffix(body, []byte(`"tasks": [`)):
			joining = true
			text.Write(bytes.TrimRight(line, "\n"))
		default:
			text.Write(line)
		}
	}
	return text.Bytes(), nil
}
