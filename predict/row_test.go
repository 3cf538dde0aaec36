package predict

import (
	"slices"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/workflow"
)

func TestMaxRow(t *testing.T) {
	if maxRow != host.MaxRow {
		t.Errorf("a row is predicted to have at most %d tasks, and has %d", maxRow, host.MaxRow)
	}
}

// rowed are constants of which each tells itself in a sum.
var rowed = Calibration{
	Request: ms, Dispatch: 500 * time.Microsecond, Standby: 700 * time.Microsecond, Startup: 3 * ms, Block: 2 * ms,
	RPC: 20 * ms, INV: 4 * ms, Row: 100 * time.Microsecond, Agent: 10 * time.Microsecond, SwitchInterval: 5 * ms,
}

// The arithmetic of each case stands beside it; every task computes 4 ms.
func TestRow(t *testing.T) {
	chain := predicttest.Seq{"a", "b", "c", "d", "e"}
	uses := predicttest.Arrange(t, "2: pool a b c d e")
	uses.Wraps[0].Processes[0].Uses = 2
	calls := predicttest.Arrange(t, "2: pool a b c d e")
	calls.Calls = plan.ThroughGateway
	for _, c := range []struct {
		name  string
		graph any
		plan  *plan.Plan
		want  float64 // ms
		calls int     // of agents
	}{
		// 1 + 0.5 + 5·4 + 4·0.1.
		{"one process", chain, predicttest.Arrange(t, "2: pool a b c d e"), 21.9, 1},
		// a b | c | d e: 1 + 3·0.5 + 5·4 + 2·0.1.
		{"another between", chain, predicttest.Arrange(t, "2: pool a b d e | pool c"), 22.7, 3},
		// Two uses of a worker: a b, c d, e. 1 + 3·0.5 + 5·4 + 2·0.1.
		{"few uses", chain, uses, 22.7, 3},
		// A child for each stage: 1 + 5·(3 + 4), or waiting ones, 1 + 5·(0.7 + 4).
		{"stages of forked processes", chain, predicttest.Arrange(t, "2: fork a b c d e"), 36, 5},
		{"stages of standby processes", chain, predicttest.Arrange(t, "2: standby a b c d e"), 24.5, 5},
		// Wrap 1 walks them elsewhere: 1 + 5·(4 + 20 + 0.5 + 4).
		{"elsewhere", chain, predicttest.Arrange(t, "2: pool ; 2: pool a b c d e"), 143.5, 5},
		// The orchestrator calls each through the gateway: 1 + 5·(4 + 2·20 + 0.5 + 4).
		{"through the gateway", chain, calls, 243.5, 5},
		// Within a branch, of a forked process, too: 1 + 3 + 4 + 0.1 + 4.
		{"within a branch", predicttest.Par{predicttest.Seq{"a", "b"}, "c"}, predicttest.Arrange(t, "3: fork a b | pool c"), 12.1, 2},
		// Wrap 2 walks the branch itself: 1 + 4 + 20 + 0.5 + 4 + 0.1 + 4.
		{"a branch elsewhere", predicttest.Par{predicttest.Seq{"a", "b"}, "c"}, predicttest.Arrange(t, "2: pool c; 2: pool a b"), 33.6, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := predicttest.Define(t, c.graph)
			profiled := predicttest.Behave(t, "a: cpu 4, b: cpu 4, c: cpu 4, d: cpu 4, e: cpu 4")
			predictor, err := New(d, profiled, &rowed, Options{})
			if err != nil {
				t.Fatal(err)
			}
			p, err := predictor.Predict(c.plan)
			if err != nil {
				t.Fatal(err)
			}
			if want := time.Duration(c.want * 1e6); p.Latency != want {
				t.Errorf("%v, want %v", p.Latency, want)
			}
			if latency, err := predictor.Latency(c.plan); err != nil || latency != p.Latency {
				t.Errorf("Latency says %v, %v", latency, err)
			}
			if got := predictor.cpuTime() % (100 * time.Microsecond); got != time.Duration(c.calls)*rowed.Agent {
				t.Errorf("the agents' calls take %v of CPU, want %d of %v", got, c.calls, rowed.Agent)
			}
		})
	}
}

// TestRowNotMeasured: constants of before are as they were.
func TestRowNotMeasured(t *testing.T) {
	before := rowed
	before.Row = 0
	p, err := Predict(predicttest.Define(t, predicttest.Seq{"a", "b"}), predicttest.Behave(t, "a: cpu 4, b: cpu 4"), predicttest.Arrange(t, "2: pool a b"), &before)
	if want := 10 * ms; err != nil || p.Latency != want {
		t.Errorf("%v, %v, want %v", p.Latency, err, want)
	}
}

// TestRowEnds: only whole results go on in a row.
func TestRowEnds(t *testing.T) {
	d, err := workflow.ParseDefinition("w.asl.json", []byte(`{"StartAt":"a","States":{
		"a":{"Type":"Task","Resource":"f","Next":"b"},
		"b":{"Type":"Task","Resource":"f","InputPath":"$.x","Next":"c"},
		"c":{"Type":"Task","Resource":"f","End":true}}}`))
	if err != nil {
		t.Fatal(err)
	}
	predictor, err := New(d, predicttest.Behave(t, "a: cpu 4, b: cpu 4, c: cpu 4"), &rowed, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := predictor.Latency(predicttest.Arrange(t, "2: pool a b c")); err != nil {
		t.Fatal(err)
	}
	if want := []int{0, 0, 1}; !slices.Equal(predictor.sim.rows, want) {
		t.Errorf("rows %v, want %v", predictor.sim.rows, want)
	}
}

// TestStandbyEndsLater: a child's end takes from who computes then, and from
// nobody where the request is answered by then.
func TestStandbyEndsLater(t *testing.T) {
	c := rowed
	c.Exit, c.Agent = ms, 0
	plan := predicttest.Arrange(t, "1: standby a | standby b")
	for behaviour, want := range map[string]time.Duration{
		// 1 + (0.7 + 4) + (0.7 + 4).
		"a: cpu 4, b: cpu 4": 10400 * time.Microsecond,
		// 1 + (0.7 + 4) + (0.7 + 20), and from 10 ms behind a on the end of its
		// child, 1.
		"a: cpu 4, b: cpu 20": 27400 * time.Microsecond,
	} {
		p, err := Predict(predicttest.Define(t, predicttest.Seq{"a", "b"}), predicttest.Behave(t, behaviour), plan, &c)
		if err != nil || p.Latency != want {
			t.Errorf("%s: %v, %v, want %v", behaviour, p.Latency, err, want)
		}
	}
	// Both ends come behind the answer, 10 ms after the stages'.
	predictor, err := New(predicttest.Define(t, predicttest.Seq{"a", "b"}), predicttest.Behave(t, "a: cpu 4, b: cpu 4"), &c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	drawn, err := predictor.Requests(plan, DistributionOptions{Samples: 1})
	if err != nil {
		t.Fatal(err)
	}
	var all, work time.Duration
	for _, use := range drawn[0].After {
		all += use.Length
		if len(use.Threads) > 0 {
			work += use.Length
		}
	}
	if work != 2*c.Exit || all < 10*ms || all > 12*ms {
		t.Errorf("behind the answer: %v, of it %v of work, want 2 of %v in some 11 ms", all, work, c.Exit)
	}
}
