package calibrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/internal/programtest"
	"github.com/chiron-faas/chiron/plan"

	"github.com/chiron-faas/chiron/predict"
)

// agentFile builds the program that runs the wraps.
func agentFile(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("starts real wraps")
	}
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("there is no python3")
	}
	return programtest.BuildAgent(t)
}

// leftovers lists processes whose command line names dir.
func leftovers(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range files {
		if line, err := os.ReadFile(f); err == nil && strings.Contains(string(line), dir) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

func checkClean(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) > 0 {
		t.Errorf("%s is left in %s", entries[0].Name(), dir)
	}
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		left := leftovers(t, dir)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still running: %q", left)
		}
	}
}

func TestMeasure(t *testing.T) {
	bin := agentFile(t)
	dir := t.TempDir()
	steps := make(map[string]int)
	r, err := Run(t.Context(), Options{
		Agent: bin, Dir: dir, Runs: 8, Force: true,
		Progress: func(s Step) { steps[s.What]++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Constants {
		t.Logf("%-14s %-9s %10v ± %v", c.Name, c.Symbol, c.Value, c.Spread)
	}
	for _, c := range r.Checks {
		t.Logf("%-14s predicted %10v measured %10v %+.1f %%", c.Shape, c.Predicted, c.Measured, 100*c.Error())
	}
	t.Log(r.Notes, r.Noise, r.Took)
	if err := r.Calibration.Check(); err != nil {
		t.Error(err)
	}
	c := r.Calibration
	// What holds on every machine, however busy: a fork is dear, a call of a
	// running process cheap.
	if c.Startup < 100*time.Microsecond || c.Startup < c.Dispatch || c.Startup > time.Second {
		t.Errorf("Startup %v beside Dispatch %v", c.Startup, c.Dispatch)
	}
	if c.Request+c.Dispatch == 0 || c.Request > time.Second {
		t.Errorf("Request %v and Dispatch %v", c.Request, c.Dispatch)
	}
	if c.SwitchInterval != 5*time.Millisecond || c.Version == "" || c.Machine.CPUs == 0 {
		t.Errorf("switch interval %v, Python %q, machine %+v", c.SwitchInterval, c.Version, c.Machine)
	}
	// The median request costs about what the constants say.
	if n := len(c.Spread); n != predict.MaxSpread || c.Spread[n/2] < 0.5 || c.Spread[n/2] > 2 {
		t.Errorf("spread %v", c.Spread)
	}
	if want := len(constantShapes()) + 2 + len(checkShapes()); len(r.Checks) != want || len(r.Observations) != want {
		t.Errorf("%d checks and %d observations, want %d", len(r.Checks), len(r.Observations), want)
	}
	for _, check := range r.Checks {
		if check.Error() < -0.8 || check.Error() > 4 {
			t.Errorf("%s: predicted %v, measured %v", check.Shape, check.Predicted, check.Measured)
		}
	}
	if steps["start wraps"] == 0 || steps["measure"] == 0 {
		t.Errorf("progress %v", steps)
	}
	checkClean(t, dir)
	path := filepath.Join(t.TempDir(), "calibration.json")
	if err := c.Write(path); err != nil {
		t.Error(err)
	}
}

// small is a measurer of a few shapes.
func small(t *testing.T, o Options) *measurer {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	if o.Progress == nil {
		o.Progress = func(Step) {}
	}
	m, err := newMeasurer(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	m.shapes = []*shape{sequence(doze, 1), each(plan.Fork, doze, spin), spreadOut(doze, doze)}
	return m
}

func TestCancelLeavesNothing(t *testing.T) {
	bin := agentFile(t)
	for _, at := range []string{"start wraps", "measure"} {
		t.Run(at, func(t *testing.T) {
			dir := t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			m := small(t, Options{Agent: bin, Dir: dir, Runs: 1000, Progress: func(s Step) {
				if s.What == at && s.Done == 2 {
					cancel()
				}
			}})
			m.until = time.Now().Add(time.Minute)
			_, err := m.measure(ctx)
			m.close()
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want the context's", err)
			}
			checkClean(t, dir)
		})
	}
}

func TestRounds(t *testing.T) {
	dir := t.TempDir()
	m := small(t, Options{Agent: agentFile(t), Dir: dir})
	defer m.close()
	if err := m.launchAll(t.Context(), m.shapes); err != nil {
		t.Fatal(err)
	}
	m.until = time.Now() // the budget is used up: the fewest rounds
	observed, err := m.rounds(t.Context(), m.running, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range observed {
		if o.shape != m.shapes[i] {
			t.Errorf("observation %d is of %s, want %s", i, o.name, m.shapes[i].name)
		}
		for name, values := range map[string][]float64{"latency": o.latency, "run": o.run, "lastStart": o.lastStart, "tail": o.tail} {
			if len(values) != minRuns {
				t.Errorf("%s: %d values of %s, want %d", o.name, len(values), name, minRuns)
			}
		}
		for k := range o.latency {
			// All of it is within the latency, and the function's run beside it.
			if o.lastStart[k] <= 0 || o.tail[k] <= 0 || o.lastStart[k]+o.tail[k] >= o.latency[k] {
				t.Errorf("%s: last start %v and tail %v of latency %v", o.name, o.lastStart[k], o.tail[k], o.latency[k])
			}
			if o.run[k] < float64(time.Millisecond) {
				t.Errorf("%s: a sleep of 1 ms took %v ns", o.name, o.run[k])
			}
		}
	}
}

func TestBadOptions(t *testing.T) {
	falseProgram, err := exec.LookPath("false")
	if err != nil {
		t.Skip("there is no program false")
	}
	for name, test := range map[string]struct {
		options Options
		want    string
	}{
		"no agent":         {Options{}, "path of chiron-agent is missing"},
		"missing agent":    {Options{Agent: "/no/such/agent"}, "/no/such/agent"},
		"few runs":         {Options{Agent: falseProgram, Runs: 2}, "too few"},
		"not our agent":    {Options{Agent: falseProgram}, "ended while it started"},
		"unknown runtime":  {Options{Agent: falseProgram, Runtime: "3.99"}, "3.99"},
		"folder not there": {Options{Agent: falseProgram, Dir: "/no/such/folder"}, "/no/such/folder"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.options.Dir == "" {
				test.options.Dir = t.TempDir()
			}
			_, err := Measure(t.Context(), test.options)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q, want one line with %q", fmt.Sprint(err), test.want)
			}
		})
	}
}
