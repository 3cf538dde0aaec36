package workflow

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// vector is one case of testdata/asl/vectors.jsonl: see the README there.
type vector struct {
	Name       string                     `json:"name"`
	Definition json.RawMessage            `json:"definition"`
	Input      json.RawMessage            `json:"input"`
	Context    json.RawMessage            `json:"context"`
	Tasks      map[string]vectorTask      `json:"tasks"`
	Compare    string                     `json:"compare"`
	Expect     map[string]json.RawMessage `json:"expect"`
	Entered    []string                   `json:"states_entered"`
	Sequential bool                       `json:"sequential"`
	Wildcards  []string                   `json:"wildcards"`
}

// vectorTask says how a Resource behaves.
type vectorTask struct {
	Kind   string          `json:"kind"` // echo, constant, sequence
	Output json.RawMessage `json:"output"`
	Steps  []struct {
		Input  json.RawMessage `json:"input"`
		Output json.RawMessage `json:"output"`
		Error  string          `json:"error"`
		Cause  string          `json:"cause"`
	} `json:"steps"`
}

// vectorExecutor plays the tasks of a vector.
type vectorExecutor struct {
	t     *testing.T
	tasks map[string]vectorTask
	mu    sync.Mutex
	calls map[string]int
}

func (e *vectorExecutor) Task(_ context.Context, s *State, input json.RawMessage) (json.RawMessage, error) {
	task, ok := e.tasks[s.Resource]
	if !ok {
		return nil, fmt.Errorf("the vector has no task for %q", s.Resource)
	}
	switch task.Kind {
	case "echo":
		return input, nil
	case "constant":
		return task.Output, nil
	case "sequence":
		e.mu.Lock()
		n := e.calls[s.Resource]
		e.calls[s.Resource]++
		e.mu.Unlock()
		step := task.Steps[min(n, len(task.Steps)-1)]
		if step.Input != nil {
			if diff := cmp.Diff(decode(e.t, step.Input), decode(e.t, input)); diff != "" {
				e.t.Errorf("input of %q (-want +got):\n%s", s.Name, diff)
			}
		}
		if step.Error != "" {
			return nil, &Failure{Name: step.Error, Cause: step.Cause}
		}
		return step.Output, nil
	}
	return nil, fmt.Errorf("no such kind of task: %q", task.Kind)
}

func (e *vectorExecutor) Parallel(ctx context.Context, s *State, input json.RawMessage) ([]json.RawMessage, error) {
	return RunBranches(ctx, s, input, e)
}

func decode(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	return v
}

// matches compares decoded JSON; a string of want that holds one of the
// wildcards stands for any value.
func matches(want, got any, wildcards []string) bool {
	if s, ok := want.(string); ok && slices.ContainsFunc(wildcards, func(w string) bool { return strings.Contains(s, w) }) {
		return true
	}
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok || len(got) != len(want) {
			return false
		}
		for k, v := range want {
			if g, ok := got[k]; !ok || !matches(v, g, wildcards) {
				return false
			}
		}
		return true
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(want) {
			return false
		}
		for i := range want {
			if !matches(want[i], got[i], wildcards) {
				return false
			}
		}
		return true
	}
	return cmp.Equal(want, got)
}

func readVectors(t *testing.T) []vector {
	t.Helper()
	file, err := os.Open("testdata/asl/vectors.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var vectors []vector
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var v vector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		vectors = append(vectors, v)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return vectors
}

func TestASLVectors(t *testing.T) {
	vectors := readVectors(t)
	if len(vectors) != 70 {
		t.Fatalf("%d vectors, want 70: is the file complete?", len(vectors))
	}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) { runVector(t, v) })
	}
}

// runContextVector runs a vector whose context object is not of AWS' shape: one
// state with an InputPath.
func runContextVector(t *testing.T, v vector, d *Definition) {
	s := d.States[d.StartAt]
	f := flow{state: s.Name, context: v.Context}
	got, err := f.input(s, v.Input)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(decode(t, v.Expect["output"]), decode(t, got)); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func runVector(t *testing.T, v vector) {
	d, err := ParseDefinition("vector.json", v.Definition)
	if err != nil {
		t.Fatal(err)
	}
	if v.Context != nil {
		runContextVector(t, v, d)
		return
	}
	ctx := WithExecution(t.Context(), &Execution{
		ID: "run-1", Workflow: "vector", StartTime: time.Unix(1700000000, 0), Input: v.Input,
	})
	out, err := Run(ctx, d, v.Input, &vectorExecutor{t: t, tasks: v.Tasks, calls: make(map[string]int)})
	if want, ok := v.Expect["output"]; ok {
		if err != nil {
			t.Fatal(err)
		}
		if w, g := decode(t, want), decode(t, out); !matches(w, g, v.Wildcards) {
			t.Errorf("output (-want +got):\n%s", cmp.Diff(w, g))
		}
		return
	}
	var f *Failure
	if !errors.As(err, &f) {
		t.Fatalf("got %s, %v; want a failure", out, err)
	}
	var name string
	if err := json.Unmarshal(v.Expect["error"], &name); err != nil {
		t.Fatal(err)
	}
	if f.Name != name {
		t.Errorf("failed with %v; want %s", f, name)
	}
	var cause string
	if c, ok := v.Expect["cause"]; ok && d.States[f.State].Type == Fail {
		if err := json.Unmarshal(c, &cause); err != nil {
			t.Fatal(err)
		}
		if f.Cause != cause {
			t.Errorf("cause %q; want %q", f.Cause, cause)
		}
	}
}
