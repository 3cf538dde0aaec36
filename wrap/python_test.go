package wrap

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// handlers that the tests run, by function name: real Python code.
var handlers = map[string]string{
	"echo":    "def handle(req):\n    return req\n",
	"event":   "def handle(event, context):\n    return {'statusCode': 201, 'body': event.method + ' ' + event.path + ' ' + event.query.get('q', '') + ' ' + event.headers.get('X-Test', '') + ' ' + event.body.decode(), 'headers': {'X-Mine': 'yes', 'Content-Type': 'text/x-mine'}}\n",
	"inc":     "def handler(event, context):\n    return event + 1\n",
	"pid":     "import os\ndef handler(event, context):\n    return os.getpid()\n",
	"raise":   "def handle(req):\n    raise ValueError('bad trade')\n",
	"sysexit": "import sys\ndef handle(req):\n    sys.exit(3)\n",
	"osexit":  "import os\ndef handle(req):\n    os._exit(3)\n",
	"sleep":   "import time\ndef handle(req):\n    time.sleep(float(req))\n    return req\n",
	"spin":    "def handle(req):\n    while True:\n        pass\n",
	"text":    "def handle(req):\n    return 'no json'\n",
	"prints":  "import sys\ndef handle(req):\n    print('to stdout')\n    print('to stderr', file=sys.stderr)\n    return req\n",
	"orphan":  "import subprocess\ndef handle(req):\n    p = subprocess.Popen(['setsid', 'sleep', '1234'])\n    return str(p.pid)\n",
	// What a process has seen: a fresh one has seen its warmup entry and the call.
	"seen": `
import os
SEEN = []
def warmup():
    SEEN.append("warmup")
def handler(event, context):
    SEEN.append(event)
    os.environ["SEEN"] = os.environ.get("SEEN", "") + "x"
    return [SEEN, os.environ["SEEN"], os.getpid(), sorted(os.sched_getaffinity(0))]
`,
	"slowwarm":     "import time\ndef warmup():\n    time.sleep(0.15)\ndef handle(req):\n    return req\n",
	"square":       "import json\ndef handle(req):\n    n = json.loads(req)\n    return json.dumps(n * n)\n",
	"floods":       "import os\ndef handle(req):\n    while True:\n        os.write(1, b'y' * 4096)\n",
	"unimportable": "import no_such_module\n",
	"large":        "def handle(req):\n    return 'x' * int(req)\n",
}

// writeBundles makes the bundle folder of every wrap of a plan.
func writeBundles(t testing.TB, definition string, timeouts map[string]time.Duration, wraps ...plan.Wrap) []string {
	t.Helper()
	if _, err := host.FindInterpreter(t.Context(), "python", os.Getenv("CHIRON_TEST_PYTHON")); err != nil {
		t.Skip(err)
	}
	d, err := workflow.ParseDefinition("workflow.asl.json", []byte(definition))
	if err != nil {
		t.Fatal(err)
	}
	for i := range wraps {
		wraps[i].Name = fmt.Sprintf("wrap-%d", i+1)
		wraps[i].CPUs = max(wraps[i].CPUs, 1)
	}
	p := &plan.Plan{Workflow: "test", Model: "test", Wraps: wraps}
	var planText bytes.Buffer
	if err := p.Encode(&planText); err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for _, w := range wraps {
		dir := t.TempDir()
		m := &plan.Manifest{PlanID: p.Digest(), Wrap: w.Name, Lang: "python", Runtime: os.Getenv("CHIRON_TEST_PYTHON")}
		seen := map[string]bool{}
		files := map[string]string{"workflow.asl.json": definition, "plan.json": planText.String()}
		for _, task := range w.TaskNames() {
			s, _ := d.State(task)
			if seen[s.Function] {
				continue
			}
			seen[s.Function] = true
			file := "functions/" + s.Function + "/handler.py"
			code, ok := handlers[s.Function]
			if !ok {
				t.Fatalf("the tests have no handler %q", s.Function)
			}
			files[file] = code
			m.Functions = append(m.Functions, plan.ManifestFunction{Name: s.Function, File: file, Timeout: timeouts[s.Function]})
		}
		var manifest bytes.Buffer
		if err := m.Encode(&manifest); err != nil {
			t.Fatal(err)
		}
		files["wrap.json"] = manifest.String()
		for name, text := range files {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := host.WriteProgram(filepath.Join(dir, "host", "python")); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, dir)
	}
	return dirs
}

// run serves the bundle in this process and waits until it is ready.
func run(t testing.TB, o Options) *served {
	t.Helper()
	b, err := readBundle(o)
	if err != nil {
		t.Fatal(err)
	}
	start, logs, err := starterOf(t, &o, b)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, o, b, start)
	s.logs = logs
	eventually(t, "ready", func() bool { return s.ready() })
	return s
}

func alone(tasks ...string) []plan.Wrap {
	return []plan.Wrap{{Processes: []plan.Process{pool1(tasks...)}}}
}

func TestPythonSequence(t *testing.T) {
	def := `{"StartAt":"A","States":{
		"A":{"Type":"Task","Resource":"inc","Next":"B"},
		"B":{"Type":"Task","Resource":"inc","ResultPath":"$.b","InputPath":"$.a","Next":"C"},
		"C":{"Type":"Task","Resource":"echo","End":true}}}`
	def = strings.Replace(def, `"Resource":"inc","Next":"B"`, `"Resource":"echo","Next":"B"`, 1)
	dirs := writeBundles(t, def, nil, plan.Wrap{Processes: []plan.Process{pool1("A", "C"), fork1("B")}})
	s := run(t, Options{Dir: dirs[0]})
	s.post(t, `{"a":41}`, `{"a":41,"b":42}`)
}

func TestPythonFailures(t *testing.T) {
	names := []string{"Raise", "Sysexit", "Osexit", "Sleep", "Spin", "Echo", "Inc"}
	dirs := writeBundles(t, sequence(names...), map[string]time.Duration{"sleep": 300 * time.Millisecond, "spin": 300 * time.Millisecond}, alone(names...)...)
	s := run(t, Options{Dir: dirs[0]})
	for _, tc := range []struct {
		function, body string
		status         int
		name, cause    string
	}{
		{"raise", "", 500, "States.TaskFailed", `function \"raise\": ValueError: bad trade`},
		{"sysexit", "", 500, "States.TaskFailed", "sys.exit(3)"},
		{"osexit", "", 500, "States.TaskFailed", "exited with code 3"},
		{"sleep", "30", 504, "States.Timeout", "300ms"},
		{"spin", "", 504, "States.Timeout", "300ms"},
		{"inc", "no json", 500, "States.TaskFailed", "not JSON"},
		{"inc", `"text"`, 500, "States.TaskFailed", "TypeError"},
	} {
		t.Run(tc.function, func(t *testing.T) {
			a := s.do(t, "POST", "/function/"+tc.function, tc.body)
			if a.status != tc.status || !strings.Contains(a.body, `"error":"`+tc.name+`"`) || !strings.Contains(a.body, tc.cause) {
				t.Errorf("status %d, body %s", a.status, a.body)
			}
			if strings.Contains(a.body, "raise ValueError") || strings.Contains(a.body, "Traceback") {
				t.Errorf("the traceback leaks: %s", a.body)
			}
			start := time.Now()
			if a := s.do(t, "POST", "/function/echo", "x"); a.status != 200 || a.body != "x" {
				t.Errorf("the next request: %+v", a)
			}
			if d := time.Since(start); d > time.Second {
				t.Errorf("the next request took %v", d)
			}
		})
	}
	if !strings.Contains(s.logs.String(), "raise ValueError") {
		t.Error("the log lacks the traceback")
	}
	if a := s.do(t, "POST", "/", "x"); a.status != 500 || !strings.Contains(a.body, "bad trade") {
		t.Errorf("the workflow: %+v", a)
	}
}

func TestPythonEventFunction(t *testing.T) {
	dirs := writeBundles(t, sequence("Event", "Echo"), nil, alone("Event", "Echo")...)
	s := run(t, Options{Dir: dirs[0]})
	a := s.do(t, "PUT", "/function/event/a/b?q=1", "body", "X-Test", "t")
	if a.status != 201 || a.body != "PUT /a/b 1 t body" || a.header.Get("X-Mine") != "yes" || a.header.Get("Content-Type") != "text/x-mine" {
		t.Errorf("%+v", a)
	}
	// In a workflow the reply's body is the result.
	s.post(t, "in", "POST /   in")
}

func TestPythonParallel(t *testing.T) {
	var branches, tasks []string
	for i := range 5 {
		tasks = append(tasks, fmt.Sprintf("T%d", i))
		branches = append(branches, fmt.Sprintf(`{"StartAt":"T%d","States":{"T%d":{"Type":"Task","Resource":"pid","End":true}}}`, i, i))
	}
	for _, mode := range plan.Modes() {
		t.Run(string(mode), func(t *testing.T) {
			var ps []plan.Process
			ps = append(ps, plan.Process{Mode: mode, CPU: plan.Unpinned, Tasks: tasks[:3]}, plan.Process{Mode: mode, CPU: 0, Tasks: tasks[3:]})
			dirs := writeBundles(t, parallel(branches...), nil, plan.Wrap{Processes: ps})
			s := run(t, Options{Dir: dirs[0]})
			var first, second []int
			for _, to := range []*[]int{&first, &second} {
				a := s.do(t, "POST", "/", "{}")
				if err := json.Unmarshal([]byte(a.body), to); err != nil || len(*to) != 5 {
					t.Fatalf("%v: %+v", err, a)
				}
			}
			if first[0] != first[1] || first[0] != first[2] || first[3] != first[4] || first[0] == first[3] {
				t.Errorf("processes of the tasks: %v", first)
			}
			if same := first[0] == second[0]; same != (mode == plan.Pool) {
				t.Errorf("processes of two requests: %v, %v", first, second)
			}
		})
	}
}

func TestPythonNotJSONInParallel(t *testing.T) {
	dirs := writeBundles(t, parallel(sequence("Text"), sequence("Square")), nil, alone("Text", "Square")...)
	s := run(t, Options{Dir: dirs[0]})
	if a := s.do(t, "POST", "/", "3"); a.status != 500 || !strings.Contains(a.body, "States.Runtime") || !strings.Contains(a.body, "not JSON") {
		t.Errorf("%+v", a)
	}
}

func TestPythonLog(t *testing.T) {
	dirs := writeBundles(t, sequence("Prints"), nil, alone("Prints")...)
	s := run(t, Options{Dir: dirs[0]})
	s.do(t, "POST", "/", "x", "X-Call-Id", "call-7")
	for _, want := range []string{`"msg":"to stdout"`, `"msg":"to stderr"`, `"function":"prints"`, `"request_id":"call-7"`, `"stream":"stderr"`} {
		if !strings.Contains(s.logs.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, s.logs)
		}
	}
}

func TestPythonImportError(t *testing.T) {
	handlers["broken"] = "import nothing_of_that_name\ndef handle(req):\n    return req\n"
	defer delete(handlers, "broken")
	dirs := writeBundles(t, sequence("Broken"), nil, alone("Broken")...)
	a, err := New(t.Context(), Options{Dir: dirs[0], Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	err = a.Serve(t.Context())
	var imp *host.ImportError
	if !errors.As(err, &imp) || !strings.Contains(imp.Message, "nothing_of_that_name") {
		t.Errorf("Serve: %v", err)
	}
}

// kill -9 of each process, between requests and during them.
func TestPythonKill(t *testing.T) {
	dirs := writeBundles(t, sequence("Echo", "Pid", "Sleep"), nil, plan.Wrap{Processes: []plan.Process{pool1("Echo", "Sleep"), fork1("Pid")}})
	s := run(t, Options{Dir: dirs[0]})
	victims := map[string]func() int{
		"worker": func() int { return s.stats().Processes[0].PID },
		"zygote": func() int { return s.stats().Zygote.PID },
	}
	next := func(t *testing.T, victim string, paths ...string) {
		t.Helper()
		for _, path := range paths {
			start := time.Now()
			a := s.do(t, "POST", path, "7")
			// A zygote takes its workers along, a millisecond or so after it was
			// killed: one of them may have read the call, and whether its handler
			// began nobody knows. The one after that finds it dead.
			if victim == "zygote" && a.status == 500 && strings.Contains(a.body, "ended without a reply") {
				a = s.do(t, "POST", path, "7")
			}
			if a.status != 200 {
				t.Errorf("the next request: %+v", a)
			}
			if d := time.Since(start); d > time.Second {
				t.Errorf("the next request took %v", d)
			}
		}
	}
	for name, pid := range victims {
		t.Run(name+" between requests", func(t *testing.T) {
			for i := range 5 {
				// 10 ms: dead and noticed; 0: dying while the request comes.
				var p int
				eventually(t, "it is there", func() bool { p = pid(); return p != 0 })
				if err := syscall.Kill(p, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Duration(i%2) * 10 * time.Millisecond)
				next(t, name, "/function/echo", "/function/pid")
			}
		})
		t.Run(name+" during a request", func(t *testing.T) {
			time.Sleep(steady) // it was killed too often just now
			var wg sync.WaitGroup
			wg.Go(func() {
				a, err := s.try("POST", "/function/sleep", "1.5")
				if err != nil || a.status != 500 || !strings.Contains(a.body, "States.TaskFailed") || !strings.Contains(a.body, "its process (pid ") {
					t.Errorf("the request that was worked on: %v %+v", err, a)
				}
			})
			time.Sleep(100 * time.Millisecond)
			if err := syscall.Kill(pid(), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			next(t, name, "/function/echo", "/function/pid")
			wg.Wait()
		})
	}
}

func TestPythonConcurrent(t *testing.T) {
	dirs := writeBundles(t, parallel(sequence("Square"), sequence("Inc")), nil, alone("Square", "Inc")...)
	s := run(t, Options{Dir: dirs[0]})
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			a, err := s.try("POST", "/", fmt.Sprint(i))
			if want := fmt.Sprintf("[%d,%d]", i*i, i+1); err != nil || a.body != want {
				t.Errorf("%d: %v %+v, want %s", i, err, a, want)
			}
		})
	}
	wg.Wait()
}

func TestPythonHugeBody(t *testing.T) {
	dirs := writeBundles(t, sequence("Echo"), nil, alone("Echo")...)
	s := run(t, Options{Dir: dirs[0], MaxBody: 4 << 20})
	body := strings.Repeat("0123456789abcdef", 4<<20/16)
	s.post(t, body, body)
	if a := s.do(t, "POST", "/", body+"x"); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", a.status)
	}
	s.post(t, "x", "x")
}

// Two wraps, one request: whole branches go over in one call, a spread branch
// task by task.
func TestPythonTwoWraps(t *testing.T) {
	for scheme, listen := range map[string]string{
		"unix": "unix://" + filepath.Join(t.TempDir(), "s"), "tcp": "127.0.0.1:0", "http1": "127.0.0.1:0",
	} {
		t.Run(scheme, func(t *testing.T) { testTwoWraps(t, scheme, listen) })
	}
}

func testTwoWraps(t *testing.T, scheme, listen string) {
	def := `{"StartAt":"First","States":{
	 "First":{"Type":"Task","Resource":"inc","Next":"Fan"},
	 "Fan":{"Type":"Parallel","Next":"Last","Branches":[
	  {"StartAt":"A","States":{"A":{"Type":"Task","Resource":"square","End":true}}},
	  {"StartAt":"B1","States":{"B1":{"Type":"Task","Resource":"inc","Next":"B2"},"B2":{"Type":"Task","Resource":"inc","End":true}}},
	  {"StartAt":"C","States":{"C":{"Type":"Task","Resource":"inc","End":true}}},
	  {"StartAt":"D1","States":{"D1":{"Type":"Task","Resource":"inc","Next":"D2"},"D2":{"Type":"Task","Resource":"square","End":true}}},
	  {"StartAt":"E","States":{"E":{"Type":"Pass","Parameters":{"id.$":"$$.Execution.Id"},"Next":"E2"},"E2":{"Type":"Task","Resource":"echo","End":true}}}]},
	 "Last":{"Type":"Task","Resource":"echo","End":true}}}`
	dirs := writeBundles(t, def, nil,
		plan.Wrap{Processes: []plan.Process{pool1("First", "A", "D1")}},
		plan.Wrap{Processes: []plan.Process{pool1("B1", "B2", "D2", "E2", "Last"), fork1("C")}})
	two := run(t, Options{Dir: dirs[1], Listen: listen})
	address := two.Addr().Network() + "://" + two.Addr().String()
	one := run(t, Options{Dir: dirs[0], Peers: map[string]string{"wrap-2": scheme + "://" + two.Addr().String()}})
	a := one.do(t, "POST", "/", "4", "Chiron-Trace", "1", "X-Call-Id", "id-9")
	if want := `[25,7,6,36,{"id":"id-9"}]`; a.status != 200 || a.body != want {
		t.Fatalf("%+v, want %s", a, want)
	}
	var spans []Span
	if err := json.Unmarshal([]byte(a.header.Get("Chiron-Trace")), &spans); err != nil {
		t.Fatal(err)
	}
	wraps := map[string]string{}
	for _, s := range spans {
		wraps[s.Task] = s.Wrap
		if s.StartUS < 0 || s.EndUS < s.StartUS || s.BeganUS < s.StartUS || s.BeganUS+s.RunUS > s.EndUS+1 { // +1: clocks are compared to a microsecond
			t.Errorf("span %+v", s)
		}
	}
	if fmt.Sprint(wraps) != "map[A:wrap-1 B1:wrap-2 B2:wrap-2 C:wrap-2 D1:wrap-1 D2:wrap-2 E2:wrap-2 First:wrap-1 Last:wrap-2]" {
		t.Errorf("tasks ran in %v", wraps)
	}
	if a := two.do(t, "POST", "/", "4"); a.status != 404 {
		t.Errorf("the workflow at wrap 2: %+v", a)
	}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			a, err := one.try("POST", "/", fmt.Sprint(i))
			n := i + 1
			if want := fmt.Sprintf("[%d,%d,%d,%d,", n*n, n+2, n+1, (n+1)*(n+1)); err != nil || !strings.HasPrefix(a.body, want) {
				t.Errorf("%d: %v %+v, want %s", i, err, a, want)
			}
		})
	}
	wg.Wait()

	// The peer goes, and comes back at the same address.
	if err := two.stop(); err != nil {
		t.Error(err)
	}
	if a := one.do(t, "POST", "/", "4"); a.status != 500 || !strings.Contains(a.body, `wrap \"wrap-2\" cannot be reached`) {
		t.Errorf("a dead peer: %+v", a)
	}
	run(t, Options{Dir: dirs[1], Listen: address})
	if a := one.do(t, "POST", "/", "4"); a.status != 200 {
		t.Errorf("the peer is back: %+v", a)
	}
}

// A peer that is being restarted is waited for.
func TestPeerComesBack(t *testing.T) {
	for _, network := range []string{"unix", "tcp", "http1"} {
		t.Run(network, func(t *testing.T) { testPeerComesBack(t, network) })
	}
}

func testPeerComesBack(t *testing.T, network string) {
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": echo, "b": echo}}
	wraps := []plan.Wrap{{CPUs: 1, Processes: []plan.Process{pool1("A")}}, {CPUs: 1, Processes: []plan.Process{pool1("B")}}}
	address := "unix://" + filepath.Join(t.TempDir(), "s")
	peer := address
	if network != "unix" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address, peer = l.Addr().String(), network+"://"+l.Addr().String() // free a moment ago
		_ = l.Close()
	}
	one := serve(t, Options{Peers: map[string]string{"wrap-2": peer}}, testBundle(t, sequence("A", "B"), time.Second, 0, wraps...), h.start)
	bundle := testBundle(t, sequence("A", "B"), time.Second, 1, wraps...)
	two := serve(t, Options{Listen: address}, bundle, h.start)
	one.post(t, "x", "x")
	if err := two.stop(); err != nil {
		t.Error(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if a, err := one.try("POST", "/", "y"); err != nil || a.body != "y" {
			t.Errorf("%v %+v", err, a)
		}
	})
	time.Sleep(100 * time.Millisecond)
	serve(t, Options{Listen: address}, bundle, h.start)
	wg.Wait()
}

func starterOf(t testing.TB, o *Options, b *bundle) (func(context.Context) (zygote, error), *lockedBuffer, error) {
	logs := &lockedBuffer{}
	if o.Log == nil {
		o.Log = jsonLog(logs)
	}
	start, err := hostStarter(t.Context(), b, o.withDefaults())
	return start, logs, err
}

// BenchmarkPeer calls a task of another wrap: on one machine, and between machines
// in either version of HTTP.
func BenchmarkPeer(b *testing.B) {
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": echo, "b": echo}}
	wraps := []plan.Wrap{{CPUs: 1, Processes: []plan.Process{pool1("A")}}, {CPUs: 1, Processes: []plan.Process{pool1("B")}}}
	for _, scheme := range []string{"unix", "http1", "tcp"} {
		o := Options{}
		if scheme != "unix" {
			o.Listen = "127.0.0.1:0"
		}
		two := serve(b, o, testBundle(b, sequence("A", "B"), time.Minute, 1, wraps...), h.start)
		one := serve(b, Options{Peers: map[string]string{"wrap-2": scheme + "://" + two.Addr().String()}},
			testBundle(b, sequence("A", "B"), time.Minute, 0, wraps...), h.start)
		for _, size := range []int{100, 100_000, 1 << 20, 10 << 20} {
			for _, callers := range []int{1, 32} {
				b.Run(fmt.Sprintf("%s/%dB/%d at once", scheme, size, callers), func(b *testing.B) {
					body := make([]byte, size)
					var turn atomic.Int64
					var wg sync.WaitGroup
					b.ResetTimer()
					for range callers {
						wg.Go(func() {
							w := walk{a: one.Agent, r: &request{id: "x", memory: holdings{users: 1}}}
							defer w.r.memory.leave()
							for turn.Add(1) <= int64(b.N) {
								if _, err := w.remoteTask(b.Context(), one.layout.places["B"], body); err != nil {
									b.Error(err)
								}
							}
						})
					}
					wg.Wait()
				})
			}
		}
	}
}
