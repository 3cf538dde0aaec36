package wrap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// Which tasks a process does by one call, told by the number of calls that it gets.
func TestRows(t *testing.T) {
	branch := func(states string) string {
		return `{"StartAt":"P","States":{"P":{"Type":"Parallel","End":true,"Branches":[{"StartAt":"A","States":{` + states + `}}]}}}`
	}
	const abc = `"A":{"Type":"Task","Resource":"a","Next":"B"},"B":{"Type":"Task","Resource":"b","Next":"C"},"C":{"Type":"Task","Resource":"c","End":true}`
	for _, c := range []struct {
		name       string
		definition string
		processes  []plan.Process
		calls      string // the functions of each, in order
	}{
		{"a pool's", sequence("A", "B", "C"), []plan.Process{pool1("A", "B", "C")}, "abc"},
		{"of two processes", sequence("A", "B", "C"), []plan.Process{pool1("A", "C"), pool1("B")}, "a b c"},
		{"its middle elsewhere", sequence("A", "B", "C", "D"), []plan.Process{pool1("A"), pool1("B", "C", "D")}, "a bcd"},
		{"a process for each stage", sequence("A", "B", "C"), []plan.Process{fork1("A", "B", "C")}, "a b c"},
		{"and ahead", sequence("A", "B", "C"), []plan.Process{standby1("A", "B", "C")}, "a b c"},
		{"a process for one stage", branch(abc), []plan.Process{fork1("A", "B", "C")}, "abc"},
		{"one ahead", branch(abc), []plan.Process{standby1("A", "B", "C")}, "abc"},
		{"few uses", sequence("A", "B", "C"), []plan.Process{{Mode: plan.Pool, CPU: plan.Unpinned, Uses: 2, Tasks: []string{"A", "B", "C"}}}, "ab c"},
		{"one use", sequence("A", "B", "C"), []plan.Process{{Mode: plan.Pool, CPU: plan.Unpinned, Uses: 1, Tasks: []string{"A", "B", "C"}}}, "a b c"},
		{"a path before", strings.Replace(sequence("A", "B", "C"), `"Resource":"b"`, `"Resource":"b","InputPath":"$.x"`, 1), []plan.Process{pool1("A", "B", "C")}, "a bc"},
		{"a result beside its input", strings.Replace(sequence("A", "B", "C"), `"Resource":"b"`, `"Resource":"b","ResultPath":"$.y"`, 1), []plan.Process{pool1("A", "B", "C")}, "a b c"},
		{"no result", strings.Replace(sequence("A", "B", "C"), `"Resource":"b"`, `"Resource":"b","ResultPath":null`, 1), []plan.Process{pool1("A", "B", "C")}, "a b c"},
		{"a part of its output", strings.Replace(sequence("A", "B", "C"), `"Resource":"b"`, `"Resource":"b","OutputPath":"$"`, 1), []plan.Process{pool1("A", "B", "C")}, "abc"},
		{"a template", strings.Replace(sequence("A", "B", "C"), `"Resource":"c"`, `"Resource":"c","Parameters":{"v.$":"$"}`, 1), []plan.Process{pool1("A", "B", "C")}, "ab c"},
		{"a path of the first", strings.Replace(sequence("A", "B", "C"), `"Resource":"a"`, `"Resource":"a","InputPath":"$.x"`, 1), []plan.Process{pool1("A", "B", "C")}, "abc"},
		{"a path of the last", strings.Replace(sequence("A", "B", "C"), `"Resource":"c"`, `"Resource":"c","OutputPath":"$.x"`, 1), []plan.Process{pool1("A", "B", "C")}, "abc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){}}
			for _, f := range "abcd" {
				h.handlers[string(f)] = func(host.Call) (host.Reply, error) {
					return host.Reply{Body: []byte(`{"x":{"x":{"x":1}}}`)}, nil
				}
			}
			s := serve(t, Options{}, testBundle(t, c.definition, time.Second, 0, plan.Wrap{CPUs: 1, Processes: c.processes}), h.start)
			eventually(t, "ready", func() bool { return s.ready() })
			if a := s.do(t, "POST", "/", `{"x":{"x":1}}`); a.status != 200 {
				t.Fatalf("%+v", a)
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			if got := strings.Join(h.calls, " "); got != c.calls {
				t.Errorf("calls %q, want %q", got, c.calls)
			}
		})
	}
}

// What a row's functions come to is told as if each had been called: spans, states
// of failures, counts.
func TestPythonRow(t *testing.T) {
	handlers["where"] = "import os, threading\ndef handler(event, context):\n    return event + [[os.getpid(), threading.get_ident()]]\n"
	handlers["bomb"] = "def handler(event, context):\n    raise ValueError('no')\n"
	def := `{"StartAt":"A","States":{
		"A":{"Type":"Task","Resource":"where","Next":"B"},
		"B":{"Type":"Task","Resource":"where","Next":"P"},
		"P":{"Type":"Parallel","End":true,"Branches":[
		 {"StartAt":"C","States":{"C":{"Type":"Task","Resource":"where","Next":"D"},"D":{"Type":"Task","Resource":"where","End":true}}},
		 {"StartAt":"E","States":{"E":{"Type":"Task","Resource":"where","Next":"F"},"F":{"Type":"Task","Resource":"where","End":true}}}]}}}`
	for _, second := range []plan.Process{fork1("E", "F"), standby1("E", "F")} {
		dirs := writeBundles(t, def, nil, plan.Wrap{Processes: []plan.Process{pool1("A", "B", "C", "D"), second}})
		s := run(t, Options{Dir: dirs[0]})
		a := s.do(t, "POST", "/", "[]", HeaderTrace, "1")
		if a.status != 200 {
			t.Fatalf("%+v", a)
		}
		var got [2][4][2]int
		if err := json.Unmarshal([]byte(a.body), &got); err != nil {
			t.Fatalf("%v: %s", err, a.body)
		}
		if w := got[0]; w[0] != w[1] || w[2] != w[3] || w[0][0] != w[2][0] || got[1][2] != got[1][3] || got[1][2][0] == w[0][0] {
			t.Errorf("processes and threads: %v", got)
		}
		var spans []Span
		if err := json.Unmarshal([]byte(a.header.Get(HeaderTrace)), &spans); err != nil {
			t.Fatal(err)
		}
		at := map[string]Span{}
		for _, sp := range spans {
			at[sp.Task] = sp
			if sp.RunUS <= 0 || sp.BeganUS < sp.StartUS || sp.BeganUS+sp.RunUS > sp.EndUS+1 || sp.Function != "where" {
				t.Errorf("span %+v", sp)
			}
		}
		for _, pair := range []string{"AB", "CD", "EF"} {
			if one, two := at[pair[:1]], at[pair[1:]]; one.EndUS != two.StartUS || one.Process != two.Process {
				t.Errorf("one after the other: %+v, %+v", one, two)
			}
		}
		if len(at) != 6 || len(spans) != 6 {
			t.Errorf("%d spans of 6 tasks", len(spans))
		}
		if n := s.stats().Processes[0].Uses; n != 4 {
			t.Errorf("%d calls of the pool's process, want 4", n)
		}
	}
	dirs := writeBundles(t, `{"StartAt":"A","States":{
		"A":{"Type":"Task","Resource":"echo","Next":"B"},
		"B":{"Type":"Task","Resource":"bomb","Next":"C"},
		"C":{"Type":"Task","Resource":"echo","End":true}}}`, nil, alone("A", "B", "C")...)
	s := run(t, Options{Dir: dirs[0]})
	a := s.do(t, "POST", "/", "1")
	if a.status != 500 || !strings.Contains(a.body, `function \"bomb\": ValueError: no`) {
		t.Errorf("%+v", a)
	}
}

// A row's caller who leaves, and a branch that fails beside it, leave what has not
// begun undone.
func TestRowIsStopped(t *testing.T) {
	var begun atomic.Int64
	inside := make(chan struct{})
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){
		"a": func(c host.Call) (host.Reply, error) {
			close(inside)
			<-c.Stop.Done()
			return host.Reply{Body: []byte("1")}, nil
		},
		"b": func(host.Call) (host.Reply, error) { begun.Add(1); return host.Reply{}, nil },
		"c": func(host.Call) (host.Reply, error) {
			<-inside
			return host.Reply{}, errors.New("no")
		},
	}}
	s := serve(t, Options{}, testBundle(t, sequence("A", "B"), time.Minute, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("A", "B")}}), h.start)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", s.url+"/", strings.NewReader("1"))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-inside
		cancel()
	}()
	if _, err := s.client.Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("the caller got %v", err)
	}
	eventually(t, "the request has ended", func() bool { return s.stats().InFlight == 0 })
	inside = make(chan struct{})
	s = serve(t, Options{}, testBundle(t, parallel(sequence("A", "B"), sequence("C")), time.Minute, 0,
		plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("A", "B"), pool1("C")}}), h.start)
	if a := s.do(t, "POST", "/", "1"); a.status != 500 {
		t.Errorf("%+v", a)
	}
	if err := s.stop(); err != nil { // waits for what the branch has begun
		t.Error(err)
	}
	if n := begun.Load(); n != 0 {
		t.Errorf("%d functions began after the request had ended", n)
	}
}

// The last second of a row is its last function's.
func TestPythonRowTimesOut(t *testing.T) {
	dirs := writeBundles(t, sequence("Sleep", "Spin"), map[string]time.Duration{"sleep": 5 * time.Second, "spin": 100 * time.Millisecond}, alone("Sleep", "Spin")...)
	s := run(t, Options{Dir: dirs[0]})
	a := s.do(t, "POST", "/", "0.3")
	var f workflow.Failure
	if err := json.Unmarshal([]byte(a.body), &f); err != nil || a.status != 504 || !strings.Contains(f.Cause, `function "spin" gave no answer within 100ms`) {
		t.Errorf("%v %+v", err, a)
	}
	eventually(t, "a new worker serves", func() bool { return s.do(t, "POST", "/function/sleep", "0").status == 200 })
}

// BenchmarkRow has ten tasks in a row: by one call, and by ten.
func BenchmarkRow(b *testing.B) {
	handlers["json"] = "def handler(event, context):\n    return event\n"
	states := make([]string, 10)
	for i := range states {
		end := fmt.Sprintf(`"Next":"S%d"`, i+1)
		if i == len(states)-1 {
			end = `"End":true`
		}
		states[i] = fmt.Sprintf(`"S%d":{"Type":"Task","Resource":"json",%s}`, i, end)
	}
	def := `{"StartAt":"S0","States":{` + strings.Join(states, ",") + `}}`
	var names []string
	for i := range states {
		names = append(names, fmt.Sprintf("S%d", i))
	}
	dirs := writeBundles(b, def, nil, alone(names...)...)
	for _, size := range []int{100, 10_000, 1_000_000} {
		body := `{"text":"` + strings.Repeat("x", size) + `"}`
		for _, way := range []string{"one call", "ten"} {
			b.Run(fmt.Sprintf("%dB/%s", size, way), func(b *testing.B) {
				s := run(b, Options{Dir: dirs[0]})
				if way == "ten" {
					clear(s.layout.rows)
				}
				w := walk{a: s.Agent, r: &request{memory: holdings{users: 1}}}
				for b.Loop() {
					if _, err := workflow.Run(b.Context(), s.bundle.definition, json.RawMessage(body), &w); err != nil {
						b.Fatal(err)
					}
				}
				w.r.memory.leave()
			})
		}
	}
}
