package predict

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/predict/predicttest"
)

// The arithmetic of each case stands beside it. T_Startup 13, T_Block 4, T_RPC
// 20, T_INV 4, T_IPC 1, a switch interval of 5, and where it says so 0.6 a thread.
func TestPaperLatency(t *testing.T) {
	flat := Paper()
	flat.IPC, flat.ThreadStart = ms, 0
	starting := flat
	starting.ThreadStart = 600 * time.Microsecond
	for _, c := range []struct {
		name          string
		graph         any
		profile, plan string
		calibration   Calibration
		want          float64 // ms
	}{
		// Equation 1: 10 + 7.
		{"two stages", predicttest.Seq{"a", "b"}, "a: cpu 10, b: cpu 4 block 3", "1: pool a b", flat, 17},
		// Equation 4 for j = 1, 2, 3: 23, 27, 31; equation 3: 31 + 2 · 1.
		{"three forks", predicttest.Par{"a", "b", "c"}, "a: cpu 10, b: cpu 10, c: cpu 10", "3: fork a | fork b | fork c", flat, 33},
		// Equation 2: max(10, max(10 + 4, 10 + 8) + 20).
		{"three wraps", predicttest.Par{"a", "b", "c"}, "a: cpu 10, b: cpu 10, c: cpu 10", "1: pool a; 1: pool b; 1: pool c", flat, 38},
		// Algorithm 1: A 0-5, B 5-10, A 10-15, B 15-20.
		{"two threads", predicttest.Par{"a", "b"}, "a: cpu 10, b: cpu 10", "1: pool a b", flat, 20},
		// Blocks overlap with computing: A computes 0-2 and blocks until 12; B
		// computes 2-7 and 7-12; then A has the least CPU time: 12-14.
		{"a block beside computing", predicttest.Par{"a", "b"}, "a: cpu 2 block 10 cpu 2, b: cpu 10", "1: pool a b", flat, 14},
		// The main thread computes 2 · 0.6 = 1.2 for starting both, within its
		// first interval; then 3 + 4.
		{"starting threads costs", predicttest.Par{"a", "b"}, "a: cpu 3, b: cpu 4", "1: pool a b", starting, 8.2},
		// Native code is taken for lock-holding: 8 + 8.
		{"native counts as computing", predicttest.Par{"a", "b"}, "a: native 8, b: native 8", "2: pool a b", flat, 16},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := New(predicttest.Define(t, c.graph), predicttest.Behave(t, c.profile), &c.calibration, Options{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.PaperLatency(predicttest.Arrange(t, c.plan))
			if err != nil {
				t.Fatal(err)
			}
			if want := time.Duration(math.Round(c.want * 1e6)); got != want {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
	p, err := New(predicttest.Define(t, predicttest.Par{predicttest.Seq{"a", "b"}, "c"}), predicttest.Behave(t, "a: cpu 1, b: cpu 1, c: cpu 1"), &flat, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.PaperLatency(predicttest.Arrange(t, "1: pool a b c")); err == nil || !strings.Contains(err.Error(), "one task each") {
		t.Errorf("a branch of two tasks: error %v", err)
	}
}

// TestSimulationReducesToThePaper: one thread a process, no native code, a CPU
// for each process: the simulation is equations 1 to 4.
func TestSimulationReducesToThePaper(t *testing.T) {
	c := Paper()
	c.IPC = 700 * time.Microsecond
	graph := predicttest.Seq{"s", predicttest.Par{"a", "b", "c", "d", "e", "f"}, predicttest.Par{"g", "h"}}
	behaviour := "s: cpu 3 block 2, a: cpu 10 block 5, b: block 30, c: cpu 12, d: cpu 1 block 2 cpu 20, e: cpu 6, f: block 1 cpu 9, g: cpu 4, h: cpu 8"
	for _, text := range []string{
		"3: pool@0 s a g | fork@1 b h | fork@2 c; 2: fork@0 d | fork@1 e; 1: pool@0 f",
		"1: pool@0 s a g; 1: pool@0 b h; 1: fork@0 c; 1: pool@0 d; 1: fork@0 e; 1: pool@0 f",
		"6: fork@0 s a g | fork@1 b h | fork@2 c | fork@3 d | fork@4 e | fork@5 f",
	} {
		p, err := New(predicttest.Define(t, graph), predicttest.Behave(t, behaviour), &c, Options{})
		if err != nil {
			t.Fatal(err)
		}
		pl := predicttest.Arrange(t, text)
		simulated, err := p.Latency(pl)
		if err != nil {
			t.Fatal(err)
		}
		paper, err := p.PaperLatency(pl)
		if err != nil || simulated != paper {
			t.Errorf("%s: simulated %v, the paper's equations %v, %v", text, simulated, paper, err)
		}
	}
}
