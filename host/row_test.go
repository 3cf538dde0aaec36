package host_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/host"

	"github.com/google/go-cmp/cmp"
)

// rowed are handlers that are called in rows.
var rowed = map[string]source{
	"text":  {"handler.py": "def handle(req):\n    return req + '!'\n"},
	"add":   {"handler.py": "def handler(event, context):\n    event.append(context.aws_request_id)\n    return event\n"},
	"left":  {"handler.py": "def handler(event, context):\n    return context.get_remaining_time_in_millis()\n"},
	"event": {"handler.py": "def handle(event, context):\n    return {'statusCode': 418, 'body': event.method.encode() + event.body}\n"},
	"print": {"handler.py": "def handler(event):\n    print('sees', event, end='')\n    return event\n"},
	"raise": {"handler.py": "def handler(event):\n    raise ValueError(event)\n"},
	"set":   {"handler.py": "def handler(event):\n    return {1, 2}\n"},
	"exit":  {"handler.py": "import os\ndef handler(event):\n    os._exit(3)\n"},
	"sleep": {"handler.py": "import time\ndef handle(req):\n    time.sleep(float(req))\n    return req\n"},
	// What it returns it keeps, and shows when it is called again.
	"keeps":  {"handler.py": "KEPT = {'list': []}\ndef handler(event):\n    return KEPT\n"},
	"spoils": {"handler.py": "def handler(event):\n    event['list'].append('x' * 1000)\n    return [len(event['list'])]\n"},
	"none":   {"handler.py": "def handle(req):\n    pass\n"},
}

func rowOf(timeout time.Duration, functions ...string) host.Call {
	c := host.Call{Function: functions[0], RequestID: "r-7", Deadline: time.Now().Add(timeout)}
	for _, f := range functions[1:] {
		c.Row = append(c.Row, host.Next{Function: f, Timeout: timeout})
	}
	return c
}

func TestRow(t *testing.T) {
	z := start(t, specOf(t, rowed))
	w := spawn(t, z, anyCPU(1))
	for _, c := range []struct {
		name, body, want string
		functions        []string
	}{
		{"values", `[]`, `["r-7","r-7","r-7"]`, []string{"add", "add", "add"}},
		{"texts", "a", "a!!!", []string{"text", "text", "text"}},
		{"characters", "é\U0001f600", "é\U0001f600!!", []string{"text", "text"}},
		{"text of a value", `[1]`, `[1,"r-7"]!`, []string{"add", "text"}},
		{"event", `b`, `POSTPOSTb!`, []string{"event", "event", "text"}},
		{"nothing", `b`, "null!", []string{"none", "print", "text"}},
		// The next call must not see what the last of this one has done.
		{"kept", `1`, `[1]`, []string{"keeps", "spoils"}},
		{"kept again", `1`, `[1]`, []string{"keeps", "spoils"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			call := rowOf(time.Minute, c.functions...)
			call.Body = []byte(c.body)
			r, err := w.Call(t.Context(), call)
			if err != nil || string(r.Body) != c.want || len(r.Steps) != len(c.functions)-1 {
				t.Errorf("%s after %d steps, %v; want %s", r.Body, len(r.Steps), err, c.want)
			}
		})
	}
	if _, err := w.Call(t.Context(), rowOf(time.Second, "add", "none of these")); err == nil || !strings.Contains(err.Error(), "not in this host") {
		t.Errorf("a function that is not there: %v", err)
	}
	if _, err := w.Call(t.Context(), rowOf(time.Second, slices.Repeat([]string{"text"}, host.MaxRow+1)...)); err == nil {
		t.Error("a row that is too long was called")
	}
}

// The row ends with a failure, which says whose it is; the lane serves on.
func TestRowFails(t *testing.T) {
	var mu sync.Mutex
	var lines []string
	spec := specOf(t, rowed)
	spec.Log = func(l host.LogLine) {
		mu.Lock()
		lines = append(lines, l.Function+" "+l.Text)
		mu.Unlock()
	}
	w := spawn(t, start(t, spec), anyCPU(1))
	for _, c := range []struct {
		name, body, function, kind string
		steps                      int
		functions                  []string
	}{
		{"in the middle", `1`, "raise", "ValueError", 1, []string{"print", "raise", "print"}},
		{"first", `1`, "raise", "ValueError", 0, []string{"raise", "print"}},
		{"not JSON", `1`, "set", "BadResult", 0, []string{"set", "print"}},
		{"not JSON at the end", `1`, "set", "BadResult", 1, []string{"print", "set"}},
		{"text that is no value", "no json", "print", "BadInput", 1, []string{"text", "print"}},
		{"the first's input", "no json", "print", "BadInput", 0, []string{"print", "text"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			call := rowOf(time.Minute, c.functions...)
			call.Body = []byte(c.body)
			r, err := w.Call(t.Context(), call)
			var failed *host.HandlerError
			if !errors.As(err, &failed) || failed.Function != c.function || failed.Type != c.kind || len(r.Steps) != c.steps {
				t.Errorf("%v after %d steps, want %s of %q after %d", err, len(r.Steps), c.kind, c.function, c.steps)
			}
		})
	}
	// Whose line it is, although it has no end.
	mu.Lock()
	if diff := cmp.Diff([]string{"print sees 1", "print sees 1"}, lines); diff != "" {
		t.Error(diff)
	}
	mu.Unlock()
	call := rowOf(time.Minute, "print", "exit", "print")
	call.Body = []byte("1")
	r, err := w.Call(t.Context(), call)
	var exit *host.ExitError
	if !errors.As(err, &exit) || exit.Function != "exit" || exit.Code != 3 || exit.Unstarted || len(r.Steps) != 1 {
		t.Errorf("%v after %d steps", err, len(r.Steps))
	}
}

// Each function has a time of its own, and all together have one.
func TestRowTimes(t *testing.T) {
	z := start(t, specOf(t, rowed))
	w := spawn(t, z, anyCPU(1))
	c := rowOf(time.Minute, "sleep", "sleep")
	c.Body, c.Row[0].Timeout = []byte("0.1"), 50*time.Millisecond
	r, err := w.Call(t.Context(), c)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), `"sleep"`) || len(r.Steps) != 1 {
		t.Fatalf("a second that sleeps 100 ms and has 50: %v after %d steps", err, len(r.Steps))
	}
	if s := r.Steps[0]; s.Run < 100*time.Millisecond || s.CPU > s.Run || s.Ended.IsZero() {
		t.Errorf("the first slept 100 ms: %+v", s)
	}
	// The lane is drained meanwhile, and serves on.
	call(t, w, "text", "x")

	c = rowOf(time.Minute, "left", "left")
	c.Body = []byte("1")
	r, err = w.Call(t.Context(), c)
	if err != nil || len(r.Body) != 5 { // 59xxx ms
		t.Errorf("the last has %s ms left, %v", r.Body, err)
	}
	c = rowOf(time.Minute, "left", "left")
	c.Body, c.Bound = []byte("1"), time.Now().Add(20*time.Second)
	if r, err = w.Call(t.Context(), c); err != nil || bytes.Compare(r.Body, []byte("20001")) >= 0 || len(r.Body) != 5 {
		t.Errorf("the last has %s ms left of 20 s for all, %v", r.Body, err)
	}
}

// A row that is told to stop ends after the function that it is at, and what was
// told too late does no harm.
func TestRowStops(t *testing.T) {
	w := spawn(t, start(t, specOf(t, rowed)), anyCPU(1))
	stop, cancel := context.WithCancel(t.Context())
	c := rowOf(time.Minute, "sleep", "text", "sleep")
	c.Body, c.Stop = []byte("0.2"), stop
	time.AfterFunc(50*time.Millisecond, cancel)
	r, err := w.Call(t.Context(), c)
	if !errors.Is(err, host.ErrStopped) || len(r.Steps) != 0 || r.Run < 200*time.Millisecond {
		t.Errorf("%v after %d steps; the first ran for %v", err, len(r.Steps), r.Run)
	}
	for range 200 { // sooner, later and at the same time as the end
		stop, cancel := context.WithCancel(t.Context())
		c := rowOf(time.Minute, "text", "text", "text")
		c.Body, c.Stop = []byte("x"), stop
		go cancel()
		if r, err := w.Call(t.Context(), c); err != nil && !errors.Is(err, host.ErrStopped) || err == nil && string(r.Body) != "x!!!" {
			t.Fatalf("%s, %v", r.Body, err)
		}
		call(t, w, "text", "x")
	}
}

// A worker that dies having begun is no worker that never began, also where it has
// left unread that it was to stop.
func TestRowDies(t *testing.T) {
	w := spawn(t, start(t, specOf(t, rowed)), anyCPU(1))
	stop, cancel := context.WithCancel(t.Context())
	c := rowOf(time.Minute, "sleep", "sleep")
	c.Body, c.Stop = []byte("5"), stop
	time.AfterFunc(50*time.Millisecond, cancel)
	time.AfterFunc(100*time.Millisecond, func() { _ = syscall.Kill(w.Pid(), syscall.SIGKILL) })
	_, err := w.Call(t.Context(), c)
	var exit *host.ExitError
	if !errors.As(err, &exit) || exit.Unstarted {
		t.Errorf("%v: it had begun", err)
	}
}

// BenchmarkRow is BenchmarkSequence by one call.
func BenchmarkRow(b *testing.B) {
	z := start(b, specOf(b, benchFunctions))
	w := spawn(b, z, anyCPU(1))
	text := bytes.Repeat([]byte("x"), 1<<20)
	for _, c := range []struct {
		name, function string
		body           []byte
	}{
		{"Lambda100B", "lambda", json100},
		{"Lambda1MiB", "lambda", []byte(`{"text":"` + string(text) + `"}`)},
		{"Text100B", "text", text[:100]},
		{"Text1MiB", "text", text},
	} {
		b.Run(c.name+"/one call", func(b *testing.B) {
			for b.Loop() {
				row := rowOf(time.Minute, c.function, c.function, c.function, c.function, c.function, c.function, c.function, c.function, c.function, c.function)
				row.Body = c.body
				if _, err := w.Call(b.Context(), row); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+"/ten", func(b *testing.B) {
			for b.Loop() {
				body := c.body
				for range 10 {
					r, err := w.Call(b.Context(), host.Call{Function: c.function, Body: body, Deadline: time.Now().Add(time.Minute)})
					if err != nil {
						b.Fatal(err)
					}
					body = r.Body
				}
			}
		})
	}
}
