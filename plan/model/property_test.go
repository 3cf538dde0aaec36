package model

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/workflow"
)

// randomGraph has tasks, Parallels, and Parallels inside branches.
func randomGraph(r *rand.Rand) predicttest.Seq {
	tasks := 0
	task := func() string {
		tasks++
		return fmt.Sprintf("t%d", tasks)
	}
	var par func(depth int) predicttest.Par
	par = func(depth int) predicttest.Par {
		var g predicttest.Par
		for range 1 + r.IntN(6) {
			switch {
			case depth > 0 && r.IntN(4) == 0:
				g = append(g, par(depth-1))
			case depth > 0 && r.IntN(4) == 0:
				g = append(g, predicttest.Seq{par(depth - 1), task(), par(depth - 1)})
			case r.IntN(4) == 0:
				g = append(g, predicttest.Seq{task(), task()})
			default:
				g = append(g, task())
			}
		}
		return g
	}
	var g predicttest.Seq
	for range 1 + r.IntN(4) {
		if r.IntN(3) == 0 {
			g = append(g, task())
		} else {
			g = append(g, par(2))
		}
	}
	return g
}

// checkModels: whatever the workflow, every model makes a plan of it that is
// valid, has what defines the model, and is the same the second time.
func checkModels(t *testing.T, r *rand.Rand) {
	t.Helper()
	d := predicttest.Define(t, randomGraph(r))
	for _, m := range All() {
		p, err := Build(m, Input{Workflow: "w", Definition: d})
		if err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		if err := plan.Check(p, d, nil, nil); err != nil {
			t.Errorf("%s: %v", m, err)
		}
		again, err := Build(m, Input{Workflow: "w", Definition: d})
		if err != nil || again.Digest() != p.Digest() {
			t.Errorf("%s: two plans differ (%v)", m, err)
		}
		processes, forked, most := 0, 0, 0
		for _, w := range p.Wraps {
			n := 0
			for _, process := range w.Processes {
				processes++
				if process.Mode == plan.Fork {
					n++
				}
			}
			forked, most = forked+n, max(most, n)
		}
		tasks := len(d.Tasks())
		var ok bool
		switch m {
		case OneToOne:
			ok = len(p.Wraps) == tasks && processes == tasks && p.CPUs() == tasks && forked == 0 && p.Calls == plan.ThroughGateway
		case SAND:
			ok = len(p.Wraps) == 1 && forked == processes
		case Faastlane:
			ok = len(p.Wraps) == 1 && processes-forked <= 1
		case FaastlaneT:
			ok = len(p.Wraps) == 1 && processes == 1 && forked == 0 && p.CPUs() == 1
		case FaastlanePlus:
			ok = most <= PlusProcesses && processes-forked <= 1
		case FaastlaneP:
			ok = len(p.Wraps) == 1 && forked == 0 && p.CPUs() == processes
		}
		if !ok {
			t.Errorf("this is not %s:\n%s", m, p.Tree(100))
		}
		if m != SAND && m != Faastlane && m != FaastlanePlus {
			continue
		}
		// No two tasks of different branches share a process.
		places := p.Places()
		for _, st := range d.Stages() {
			for _, c := range st.Root.Children {
				for _, other := range st.Root.Children {
					if c == other || len(st.Root.Children) < 2 || st.Root.Kind != workflow.BlockParallel {
						continue
					}
					for _, a := range c.Tasks() {
						for _, b := range other.Tasks() {
							if places[a.Name] == places[b.Name] {
								t.Errorf("%s: %s and %s run beside each other in one process", m, a.Name, b.Name)
							}
						}
					}
				}
			}
		}
	}
}

func TestModelProperties(t *testing.T) {
	for seed := range uint64(100) {
		checkModels(t, rand.New(rand.NewPCG(seed, 3)))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzModels(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, b uint64) { checkModels(t, rand.New(rand.NewPCG(a, b))) })
}

func TestAll(t *testing.T) {
	if all := All(); len(slices.Compact(slices.Sorted(slices.Values(all)))) != len(all) {
		t.Errorf("%v has a name twice", all)
	}
	if _, err := Build("", Input{Definition: predicttest.Define(t, "a")}); err == nil || errors.Is(err, ErrConflict) {
		t.Errorf("no name: error %v", err)
	}
}
