package accuracy

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/chiron-faas/chiron/bench/accuracy/shapes"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// flat is a space of stages of so many tasks each.
func flat(wraps bool, widths ...int) *space {
	s := &space{wraps: wraps}
	for i, n := range widths {
		var names []string
		for k := range n {
			names = append(names, fmt.Sprintf("t%d-%d", i, k))
		}
		s.tasks = append(s.tasks, names)
	}
	return s
}

// TestCount holds the counts against the known sequences: Bell's numbers (OEIS
// A000110), and partitions of partitions (A000258).
func TestCount(t *testing.T) {
	for n, want := range []int64{1, 1, 2, 5, 15, 52, 203, 877, 4140} {
		if got := bell(n); got.Int64() != want {
			t.Errorf("%d things have %v partitions, want %d", n, got, want)
		}
		if n == 0 {
			continue
		}
		if got := flat(false, n).count(); got.Int64() != want {
			t.Errorf("%d tasks in one wrap: %v ways, want %d", n, got, want)
		}
	}
	for n, want := range []int64{1, 1, 3, 12, 60, 358, 2471, 19302} {
		if n == 0 {
			continue
		}
		if got := flat(true, n).count(); got.Int64() != want {
			t.Errorf("%d tasks in wraps: %v ways, want %d", n, got, want)
		}
	}
	if got := flat(true, 4, 1, 3).count(); got.Int64() != 60*12 {
		t.Errorf("three stages: %v ways, want 720", got)
	}
	// B(50), which no uint64 holds.
	want, _ := new(big.Int).SetString("185724268771078270438257767181908917499221852770", 10)
	if got := bell(50); got.Cmp(want) != 0 {
		t.Errorf("50 things have %v partitions, want %v", got, want)
	}
}

// Every number is a way of its own, every way in order.
func TestAt(t *testing.T) {
	for _, s := range []*space{flat(false, 5), flat(true, 4), flat(true, 3, 2), flat(false, 1, 4, 1)} {
		seen := make(map[string]bool)
		n := s.count().Int64()
		for i := range n {
			way := s.at(big.NewInt(i))
			var text []string
			for _, name := range slices.Sorted(maps.Keys(way)) {
				text = append(text, fmt.Sprintf("%s=%d.%d", name, way[name].wrap, way[name].process))
				if !s.wraps && way[name].wrap != 0 {
					t.Fatalf("%d: task %s is in wrap %d of one", i, name, way[name].wrap)
				}
			}
			for _, names := range s.tasks {
				checkSeats(t, names, way)
			}
			seen[strings.Join(text, " ")] = true
		}
		if int64(len(seen)) != n {
			t.Errorf("%d different ways of %d", len(seen), n)
		}
	}
}

// checkSeats says whether wraps, and processes in each, are numbered without
// gaps in the order of their first tasks.
func checkSeats(t *testing.T, names []string, way spread) {
	t.Helper()
	processes := []int{}
	for _, name := range names {
		at, ok := way[name]
		if !ok {
			t.Fatalf("task %s has no place", name)
		}
		if at.wrap > len(processes) || at.wrap == len(processes) && at.process != 0 {
			t.Fatalf("task %s is at %+v, with %d wraps before it", name, at, len(processes))
		}
		if at.wrap == len(processes) {
			processes = append(processes, 0)
		}
		if at.process > processes[at.wrap] {
			t.Fatalf("task %s is at %+v, with %d processes before it", name, at, processes[at.wrap])
		}
		processes[at.wrap] = max(processes[at.wrap], at.process+1)
	}
}

// assembled are the shapes' projects.
func assembled(t *testing.T, names ...string) []*workflow.Project {
	t.Helper()
	var all []*workflow.Project
	for _, name := range names {
		p, err := shapes.Assemble(name, t.TempDir()+"/"+name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// Every plan of every shape is one, and no two are the same.
func TestPlans(t *testing.T) {
	for _, p := range assembled(t, shapes.All()...) {
		s := newSpace(p.Definition, true)
		n := s.count().Int64()
		step := n/300 + 1
		for i := int64(0); i < n; i += step {
			way := s.at(big.NewInt(i))
			for _, mode := range modes() {
				for _, cpus := range []int{1, 2} {
					pl := planOf(p, way, mode, cpus)
					if err := plan.Check(pl, p.Definition, p.Functions, &p.Rules); err != nil {
						t.Fatalf("%s: way %d, %s, %d CPUs: %v\n%s", p.Name, i, mode, cpus, err, pl.Tree(100))
					}
				}
			}
		}
	}
}

func TestPlanOf(t *testing.T) {
	p := assembled(t, "slapp")[0]
	way := spread{
		"NetworkIO": {0, 0}, "Factorial": {0, 1}, "DiskIO": {1, 0}, "Fibonacci": {0, 0},
		"NetworkIO2": {0, 0}, "Pi": {0, 0}, "Pbkdf2": {1, 0},
	}
	for _, test := range []struct {
		mode mode
		want string
	}{
		// The first stage has two processes in wrap 1, so they are forked; the
		// second has one, which is the resident one, as DiskIO's and Pbkdf2's.
		{forked, "wrap-1: pool NetworkIO2 Pi; fork NetworkIO Fibonacci; fork Factorial. wrap-2: pool DiskIO Pbkdf2."},
		{pooled, "wrap-1: pool NetworkIO Fibonacci NetworkIO2 Pi; pool Factorial. wrap-2: pool DiskIO Pbkdf2."},
	} {
		pl := planOf(p, way, test.mode, 2)
		var wraps []string
		for _, w := range pl.Wraps {
			var processes []string
			for _, process := range w.Processes {
				processes = append(processes, string(process.Mode)+" "+strings.Join(process.Tasks, " "))
			}
			wraps = append(wraps, w.Name+": "+strings.Join(processes, "; ")+".")
		}
		if got := strings.Join(wraps, " "); got != test.want {
			t.Errorf("%s:\n%s, want\n%s", test.mode, got, test.want)
		}
	}
}

func TestSample(t *testing.T) {
	p := assembled(t, "finra-5")[0]
	all := sample(p, 40, 7)
	again := sample(p, 40, 7)
	other := sample(p, 40, 8)
	same := true
	digests := make(map[string]bool)
	strata := make(map[string]int)
	for i := range all {
		key := fmt.Sprint(all[i].Plan.Digest(), all[i].CPUs)
		digests[key] = true
		strata[fmt.Sprint(all[i].Mode, all[i].CPUs, len(all[i].Plan.Wraps) > 1)]++
		if again[i].ID != all[i].ID {
			t.Fatalf("placement %d differs with the same seed", i)
		}
		same = same && i < len(other) && other[i].ID == all[i].ID
	}
	if len(all) != 40 || len(digests) != 40 {
		t.Errorf("%d placements, %d of them different, want 40", len(all), len(digests))
	}
	if same {
		t.Error("another seed draws the same placements")
	}
	if len(strata) != 8 {
		t.Errorf("strata %v, want 8", strata)
	}
	for key, n := range strata {
		if n != 5 {
			t.Errorf("%d placements of %s, want 5", n, key)
		}
	}
	// So many that all are in: 358 ways, less those that two modes share.
	if n := len(sample(p, 100_000, 1)); n < 1000 || n > 358*4 {
		t.Errorf("%d placements in all", n)
	}
	if n := len(sample(p, 0, 1)); n != 0 {
		t.Errorf("%d placements of none", n)
	}
}
