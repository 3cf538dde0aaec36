package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// tasks is an Executor whose functions are Go's, by the name of the state; the
// rest echo.
type tasks map[string]func(ctx context.Context, input json.RawMessage) (json.RawMessage, error)

func (e tasks) Task(ctx context.Context, s *State, input json.RawMessage) (json.RawMessage, error) {
	if f, ok := e[s.Name]; ok {
		return f(ctx, input)
	}
	return input, nil
}

func (e tasks) Parallel(ctx context.Context, s *State, input json.RawMessage) ([]json.RawMessage, error) {
	return RunBranches(ctx, s, input, e)
}

func answer(text string) func(context.Context, json.RawMessage) (json.RawMessage, error) {
	return func(context.Context, json.RawMessage) (json.RawMessage, error) { return json.RawMessage(text), nil }
}

func TestRun(t *testing.T) {
	one := func(fields string) string {
		return "{StartAt: A, States: {A: {Type: Task, Resource: f, End: true, " + fields + "}}}"
	}
	parallel := `{StartAt: P, States: {P: {Type: Parallel, End: true, Branches: [
		{StartAt: A, States: {A: {Type: Task, Resource: f, End: true}}},
		{StartAt: B, States: {B: {Type: Task, Resource: f, End: true}}}]}}}`
	tests := []struct {
		name, definition, input string
		exec                    tasks
		want                    string
		fail                    Failure // its Cause: a part of the cause
	}{
		{"text passes where nothing needs JSON", "{StartAt: A, States: {A: {Type: Task, Resource: f, Next: B}, B: {Type: Task, Resource: f, End: true}}}", "plain text", nil, "plain text", Failure{}},
		{"text into ResultPath", one("ResultPath: $.r"), `{}`, tasks{"A": answer("text")}, "", Failure{ErrRuntime, `the state's result is not JSON, and must be here: "text"`, "A"}},
		{"nothing into ResultPath", one("ResultPath: $.r"), `{}`, tasks{"A": answer("")}, "", Failure{ErrRuntime, "(empty)", "A"}},
		{"text under ResultPath", one("ResultPath: $.r"), "text", tasks{"A": answer("1")}, "", Failure{ErrRuntime, "the state's input is not JSON", "A"}},
		{"text into InputPath", one("InputPath: $.r"), "text", nil, "", Failure{ErrRuntime, "the state's input is not JSON", "A"}},
		{"text into OutputPath", one("OutputPath: $.r"), "{}", tasks{"A": answer("text")}, "", Failure{ErrRuntime, "the state's output is not JSON", "A"}},
		{"text into Parameters", one("Parameters: {a.$: $.b}"), "text", nil, "", Failure{ErrRuntime, "the state's input is not JSON", "A"}},
		{"constant Parameters need no input", one("Parameters: {a: 1}"), "text", nil, `{"a":1}`, Failure{}},
		{"text discarded", one("ResultPath: null"), `{"a":1}`, tasks{"A": answer("text")}, `{"a":1}`, Failure{}},
		{"text in a branch", parallel, `1`, tasks{"B": answer("text")}, "", Failure{ErrRuntime, `the output of branch 2 (from "B") is not JSON`, "P"}},
		{"branches in order", parallel, `1`, tasks{"A": answer(` {"a": 1}`)}, `[ {"a": 1},1]`, Failure{}},
		{"ResultPath does not fit", one("ResultPath: $.r"), `[1]`, nil, "", Failure{ErrResultPathMatchFailure, `ResultPath "$.r"`, "A"}},
		{"InputPath selects nothing", one("InputPath: $.x"), `{"y":1}`, nil, "", Failure{ErrRuntime, `InputPath "$.x": no value is there in "{\"y\":1}"`, "A"}},
		{"null paths", one("InputPath: null, OutputPath: null"), `{"y":1}`, nil, "{}", Failure{}},
		{"everything", one("InputPath: $.in, Parameters: {v.$: $.x, whole.$: $}, ResultPath: $.out.r, OutputPath: $.out"), `{"in":{"x":[1]}}`, nil, `{"r":{"v":[1],"whole":{"x":[1]}}}`, Failure{}},
		{"Fail", "{StartAt: A, States: {A: {Type: Fail, Error: E, Cause: why}}}", `1`, nil, "", Failure{"E", "why", "A"}},
		{"Fail in a branch", `{StartAt: P, States: {P: {Type: Parallel, End: true, Branches: [{StartAt: A, States: {A: {Type: Fail, Error: E}}}]}}}`, `1`, nil, "", Failure{"E", "", "A"}},
		{"a Task's Failure gets the state", one("Comment: x"), `1`, tasks{"A": func(context.Context, json.RawMessage) (json.RawMessage, error) {
			return nil, fmt.Errorf("call: %w", &Failure{Name: ErrTaskFailed, Cause: "raised"})
		}}, "", Failure{ErrTaskFailed, "raised", "A"}},
		{
			"the context object", one("Parameters: {id.$: $$.Execution.Id, in.$: $$.Execution.Input.k, state.$: $$.State.Name, workflow.$: $$.StateMachine.Name, start.$: $$.Execution.StartTime}"), `{"k":7}`, nil,
			`{"id":"","in":7,"state":"A","workflow":"","start":"2000-01-01T00:00:00.000Z"}`,
			Failure{},
		},
		{"text in the context object", one("InputPath: $$.Execution.Input"), "a\"\xffb", nil, "\"a\\\"\uFFFDb\"", Failure{}},
		{"the whole input in a branch", `{StartAt: P, States: {P: {Type: Parallel, InputPath: $.k, End: true, Branches: [{StartAt: A, States: {A: {Type: Pass, InputPath: $$.Execution.Input, End: true}}}]}}}`, `{"k":7}`, nil, `[{"k":7}]`, Failure{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // its clock stands at 2000-01-01
				d := mustParse(t, test.definition)
				got, err := Run(t.Context(), d, json.RawMessage(test.input), test.exec)
				if test.fail == (Failure{}) {
					if err != nil || string(got) != test.want {
						t.Fatalf("got %s, %v; want %s", got, err, test.want)
					}
					return
				}
				var f *Failure
				if !errors.As(err, &f) || got != nil {
					t.Fatalf("got %s, %v; want %v", got, err, &test.fail)
				}
				if f.Name != test.fail.Name || f.State != test.fail.State || !strings.Contains(f.Cause, test.fail.Cause) {
					t.Errorf("got %v; want %v", err, &test.fail)
				}
			})
		})
	}
}

// wide is a Parallel of n branches, B0 … , each a Task.
func wide(n int) string {
	branches := make([]string, n)
	for i := range branches {
		branches[i] = fmt.Sprintf("{StartAt: B%d, States: {B%d: {Type: Task, Resource: f, End: true}}}", i, i)
	}
	return "{StartAt: P, States: {P: {Type: Parallel, End: true, Branches: [" + strings.Join(branches, ", ") + "]}}}"
}

func TestBranchesAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exec := make(tasks)
		for i := range 5 {
			exec[fmt.Sprintf("B%d", i)] = func(context.Context, json.RawMessage) (json.RawMessage, error) {
				time.Sleep(time.Duration(5-i) * time.Second)
				return json.RawMessage(fmt.Sprint(i)), nil
			}
		}
		start := time.Now()
		got, err := Run(t.Context(), mustParse(t, wide(5)), nil, exec)
		if err != nil || string(got) != "[0,1,2,3,4]" {
			t.Errorf("got %s, %v", got, err)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("took %v, want 5s: the slowest branch", took)
		}
	})
}

// TestFirstFailureWins: whichever branch fails first, the others are stopped,
// waited for, and their own errors do not count.
func TestFirstFailureWins(t *testing.T) {
	for failing := range 4 {
		synctest.Test(t, func(t *testing.T) {
			var stopped atomic.Int32
			exec := make(tasks)
			for i := range 4 {
				exec[fmt.Sprintf("B%d", i)] = func(ctx context.Context, _ json.RawMessage) (json.RawMessage, error) {
					if i == failing {
						time.Sleep(time.Second)
						return nil, &Failure{Name: "First", Cause: fmt.Sprint(i)}
					}
					select {
					case <-ctx.Done():
						time.Sleep(time.Second) // a function that takes its time to stop
						stopped.Add(1)
						return nil, &Failure{Name: "Stopped"}
					case <-time.After(time.Hour):
						return json.RawMessage("1"), nil
					}
				}
			}
			start := time.Now()
			_, err := Run(t.Context(), mustParse(t, wide(4)), nil, exec)
			var f *Failure
			if !errors.As(err, &f) || f.Name != "First" || f.State != fmt.Sprintf("B%d", failing) {
				t.Errorf("got %v", err)
			}
			if stopped.Load() != 3 || time.Since(start) != 2*time.Second {
				t.Errorf("%d stopped, after %v", stopped.Load(), time.Since(start))
			}
		})
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the caller is gone")
	exec := tasks{"A": func(context.Context, json.RawMessage) (json.RawMessage, error) {
		cancel(gone)
		return json.RawMessage("1"), nil
	}, "B": func(context.Context, json.RawMessage) (json.RawMessage, error) {
		t.Error("B ran")
		return nil, nil
	}}
	d := mustParse(t, "{StartAt: A, States: {A: {Type: Task, Resource: f, Next: B}, B: {Type: Task, Resource: f, End: true}}}")
	if _, err := Run(ctx, d, nil, exec); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
}

// TestRunShared: one Definition serves many runs at the same time; the race
// detector watches.
func TestRunShared(t *testing.T) {
	d := mustParse(t, `{StartAt: P, States: {P: {Type: Parallel, Parameters: {k.$: $.k, id.$: $$.Execution.Id}, ResultPath: $.r, OutputPath: "$.r[*].k", End: true, Branches: [
		{StartAt: A, States: {A: {Type: Task, Resource: f, End: true}}},
		{StartAt: B, States: {B: {Type: Task, Resource: f, End: true}}}]}}}`)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			got, err := Run(t.Context(), d, json.RawMessage(fmt.Sprintf(`{"k":%d}`, i)), tasks{})
			if want := fmt.Sprintf("[%d,%d]", i, i); err != nil || string(got) != want {
				t.Errorf("got %s, %v; want %s", got, err, want)
			}
		})
	}
	wg.Wait()
}

func TestAsFailure(t *testing.T) {
	own := &Failure{Name: "Own"}
	for _, test := range []struct {
		err  error
		want *Failure
	}{
		{nil, nil},
		{own, own},
		{fmt.Errorf("in a wrap: %w", own), own},
		{fmt.Errorf("call: %w", context.DeadlineExceeded), &Failure{Name: ErrTimeout, Cause: "call: context deadline exceeded"}},
		{errors.New("broken"), &Failure{Name: ErrTaskFailed, Cause: "broken"}},
	} {
		got := AsFailure(test.err)
		if got == nil || test.want == nil {
			if got != test.want {
				t.Errorf("%v: got %v, want %v", test.err, got, test.want)
			}
			continue
		}
		if *got != *test.want {
			t.Errorf("%v: got %v, want %v", test.err, got, test.want)
		}
	}
	body, err := json.Marshal(&Failure{Name: ErrTimeout, Cause: "5s", State: "A"})
	if err != nil || string(body) != `{"error":"States.Timeout","cause":"5s"}` {
		t.Errorf("got %s, %v", body, err)
	}
	var back Failure
	if err := json.Unmarshal(body, &back); err != nil || back != (Failure{Name: ErrTimeout, Cause: "5s"}) {
		t.Errorf("got %v, %v", back, err)
	}
}

func chainOfTasks(t testing.TB, n int) *Definition {
	var b strings.Builder
	b.WriteString("{StartAt: S1, States: {")
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, "S%d: {Type: Task, Resource: f, Next: S%d}, ", i, i+1)
	}
	fmt.Fprintf(&b, "S%d: {Type: Task, Resource: f, End: true}}}", n)
	return mustParse(t, b.String())
}

// TestRunAllocatesNothing: states with default paths cost no allocation.
func TestRunAllocatesNothing(t *testing.T) {
	d := chainOfTasks(t, 10)
	input := json.RawMessage(`{"a":1}`)
	ctx := context.Background()
	exec := Executor(tasks{})
	if n := testing.AllocsPerRun(100, func() {
		if _, err := Run(ctx, d, input, exec); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a run", n)
	}
}

func BenchmarkRun10Tasks(b *testing.B) {
	d := chainOfTasks(b, 10)
	input := json.RawMessage(`{"a":1}`)
	exec := Executor(tasks{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Run(b.Context(), d, input, exec); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRunParallel5(b *testing.B) {
	d := mustParse(b, wide(5))
	input := json.RawMessage(`{"a":1}`)
	exec := Executor(tasks{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Run(b.Context(), d, input, exec); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDataFlow(b *testing.B) {
	d := mustParse(b, "{StartAt: A, States: {A: {Type: Task, Resource: f, End: true, InputPath: $.in, Parameters: {v.$: $.x, w: 1}, ResultPath: $.out, OutputPath: $.out}}}")
	input := json.RawMessage(`{"in":{"x":[1,2,3],"y":"` + strings.Repeat("z", 1000) + `"}}`)
	exec := Executor(tasks{})
	b.SetBytes(int64(len(input)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Run(b.Context(), d, input, exec); err != nil {
			b.Fatal(err)
		}
	}
}

// TestFailureJSON: a failure and a pointer to one have the language's form.
func TestFailureJSON(t *testing.T) {
	f := Failure{Name: ErrTimeout, Cause: "too slow", State: "A"}
	for _, v := range []any{f, &f} {
		got, err := json.Marshal(v)
		if want := `{"error":"States.Timeout","cause":"too slow"}`; err != nil || string(got) != want {
			t.Errorf("%T: %s, %v; want %s", v, got, err, want)
		}
	}
}
