package wrap

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/internal/affinity"
	"github.com/chiron-faas/chiron/plan"
)

type seen struct {
	events []any
	env    string
	pid    int
	cpus   []int
}

func parseSeen(t testing.TB, body string) (s seen) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &[]any{&s.events, &s.env, &s.pid, &s.cpus}); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return s
}

// waits waits until children of all standby processes wait.
func (s *served) waits(t testing.TB) {
	t.Helper()
	eventually(t, "children wait", func() bool {
		for _, p := range s.layout.processes {
			if p.shelf != nil && p.shelf.waitingNow() == 0 {
				return false
			}
		}
		return true
	})
}

// What one request leaves in its process, another never sees: one after the
// other and at once, where children wait and where they do not.
func TestPythonStandbyIsolation(t *testing.T) {
	dirs := writeBundles(t, sequence("Seen"), nil, plan.Wrap{Processes: []plan.Process{standby1("Seen")}})
	s := run(t, Options{Dir: dirs[0]})
	var mu sync.Mutex
	pids := map[int]bool{}
	check := func(i int) {
		a, err := s.try("POST", "/", strconv.Itoa(i))
		if err != nil || a.status != 200 {
			t.Errorf("%v %+v", err, a)
			return
		}
		got := parseSeen(t, a.body)
		mu.Lock()
		defer mu.Unlock()
		if last := fmt.Sprint(got.events[len(got.events)-1]); last != strconv.Itoa(i) || got.env != "x" || pids[got.pid] {
			t.Errorf("request %d saw %+v", i, got)
		}
		pids[got.pid] = true
		// One that was forked late has not run the entry.
		if n := len(got.events); n > 2 || n == 2 && got.events[0] != "warmup" {
			t.Errorf("request %d saw %v", i, got.events)
		}
	}
	for i := range 10 {
		s.waits(t)
		check(i)
	}
	if late := s.stats().Processes[0].Late; late != 0 {
		t.Errorf("%d requests found no child", late)
	}
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() { check(100 + i) })
	}
	wg.Wait()
}

// descriptors of this process, but for the lanes of children that wait.
func descriptors(t testing.TB, s *served) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := len(entries)
	for _, p := range s.layout.processes {
		n -= p.shelf.waitingNow()
	}
	return n
}

// A standby child killed at each point of its life: the request that it works on
// gets a clear error, others right answers, and nothing is left behind.
func TestPythonStandbyKill(t *testing.T) {
	dirs := writeBundles(t, sequence("Echo", "Sleep", "Slowwarm"), nil, plan.Wrap{Processes: []plan.Process{
		standby1("Echo"), standby1("Sleep"), standby1("Slowwarm"),
	}})
	s := run(t, Options{Dir: dirs[0]})
	// childrenOf lists what the zygote has forked.
	childrenOf := func() []int {
		pid := s.stats().Zygote.PID
		text, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "task", strconv.Itoa(pid), "children"))
		var pids []int
		for _, f := range strings.Fields(string(text)) {
			n, _ := strconv.Atoi(f)
			pids = append(pids, n)
		}
		return pids
	}
	kill := func(pids ...int) {
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
		}
	}
	// settled: only the children that wait are there.
	settled := func() {
		t.Helper()
		eventually(t, "only children that wait are there", func() bool {
			n := 0
			for _, p := range s.layout.processes {
				w := p.shelf.waitingNow()
				if w == 0 {
					return false
				}
				n += w
			}
			return len(childrenOf()) == n
		})
	}
	good := func(t *testing.T) {
		t.Helper()
		if a := s.do(t, "POST", "/function/echo", "good"); a.status != 200 || a.body != "good" {
			t.Errorf("%+v", a)
		}
	}
	settled()
	s.client.CloseIdleConnections()
	before := descriptors(t, s)
	t.Run("before", func(t *testing.T) {
		for i := range 6 {
			s.waits(t)
			kill(childrenOf()...)
			time.Sleep(time.Duration(i%3) * time.Millisecond) // unnoticed, or noticed
			good(t)
		}
	})
	t.Run("during", func(t *testing.T) {
		settled()
		before := map[int]bool{}
		for _, pid := range childrenOf() {
			before[pid] = true
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			a, err := s.try("POST", "/function/sleep", "5")
			if err != nil || a.status != 500 || !strings.Contains(a.body, "States.TaskFailed") || !strings.Contains(a.body, "SIGKILL") {
				t.Errorf("the request that was worked on: %v %+v", err, a)
			}
		})
		eventually(t, "its child was taken", func() bool { return s.layout.processes[1].uses.Load() > 0 })
		time.Sleep(50 * time.Millisecond)
		// The child at work is among those that were there; so are the others.
		for pid := range before {
			kill(pid)
		}
		good(t)
		wg.Wait()
		good(t)
	})
	t.Run("after", func(t *testing.T) {
		for range 10 {
			good(t)
			kill(childrenOf()...) // whatever is there: it ends, waits, or is being made
		}
	})
	t.Run("while it is warmed", func(t *testing.T) {
		for range 3 {
			settled()
			if a := s.do(t, "POST", "/function/slowwarm", "x"); a.status != 200 {
				t.Errorf("%+v", a)
			}
			time.Sleep(60 * time.Millisecond) // its replacement runs its warmup entry
			kill(childrenOf()...)
			// None waits: it forks.
			if a := s.do(t, "POST", "/function/slowwarm", "y"); a.status != 200 || a.body != "y" {
				t.Errorf("%+v", a)
			}
		}
	})
	t.Run("while forking", func(t *testing.T) {
		for range 5 {
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					a, err := s.try("POST", "/function/echo", "z")
					// Its process may have begun when the zygote took it along.
					if err != nil || !(a.status == 200 && a.body == "z" || a.status == 500 && strings.Contains(a.body, "States.TaskFailed")) {
						t.Errorf("%v %+v", err, a)
					}
				})
			}
			if pid := s.stats().Zygote.PID; pid != 0 {
				kill(pid)
			}
			wg.Wait()
			good(t)
		}
	})
	settled()
	eventually(t, "no descriptor is left behind", func() bool {
		s.client.CloseIdleConnections()
		return descriptors(t, s) <= before
	})
}

// Several pool processes may share a CPU (the paper's Chiron-P), and each is
// replaced after its uses without a call being lost.
func TestPythonPoolSharesCPU(t *testing.T) {
	cpus, err := affinity.CPUs()
	if err != nil {
		t.Fatal(err)
	}
	one := plan.Process{Mode: plan.Pool, CPU: 0, Uses: 5}
	one.Tasks = []string{"Seen"}
	two := one
	two.Tasks = []string{"Seen2"}
	def := parallel(sequence("Seen"), strings.Replace(sequence("Seen2"), `"seen2"`, `"seen"`, 1))
	dirs := writeBundles(t, def, nil, plan.Wrap{Processes: []plan.Process{one, two}})
	s := run(t, Options{Dir: dirs[0], CPUs: cpus})
	pids := [2]map[int]int{{}, {}}
	// A worker serves on until its replacement is ready, which takes its time on a
	// busy machine.
	replaced := func() bool { return len(pids[0]) > 1 && len(pids[1]) > 1 }
	for i := 0; i < 40 || i < 5000 && !replaced(); i++ {
		a := s.do(t, "POST", "/", strconv.Itoa(i))
		var parts []json.RawMessage
		if err := json.Unmarshal([]byte(a.body), &parts); err != nil || len(parts) != 2 {
			t.Fatalf("%v: %+v", err, a)
		}
		for k, part := range parts {
			got := parseSeen(t, string(part))
			pids[k][got.pid]++
			if len(got.cpus) != 1 || got.cpus[0] != cpus[0] {
				t.Errorf("process %d runs on CPUs %v, want %d", k, got.cpus, cpus[0])
			}
			if got.events[0] != "warmup" || fmt.Sprint(got.events[len(got.events)-1]) != strconv.Itoa(i) {
				t.Errorf("process %d saw %v", k, got.events)
			}
		}
	}
	for k := range pids {
		if len(pids[k]) < 2 {
			t.Errorf("process %d was never replaced: %v", k, pids[k])
		}
		for pid := range pids[k] {
			if pids[1-k][pid] > 0 {
				t.Errorf("processes share worker %d", pid)
			}
		}
	}
}
