package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/calibrate"
	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/internal/prices"
	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/pgp"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
)

// printed is what a report's text is without colour.
func printed(text func(io.Writer, style)) string {
	var b bytes.Buffer
	text(&b, style{})
	return b.String()
}

func sampleProfile() *profile.Profile {
	stat := func(mean time.Duration) profile.Stat {
		return profile.Stat{Mean: mean, StdDev: mean / 20, Min: mean * 9 / 10, P50: mean, P99: mean * 11 / 10, Max: mean * 11 / 10}
	}
	return &profile.Profile{
		Workflow: "finra-5",
		Machine:  profile.Machine{CPUModel: "Test CPU", CPUs: 2, Kernel: "6.1", OS: "linux", Arch: "amd64"},
		Created:  time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		Functions: []profile.Function{
			{
				Name: "market-data", Tasks: []string{"MarketData"}, Lang: "python", Version: "3.11.7", Tracer: "strace",
				Slowdown: 1.1, Runs: 20, Wall: stat(12300 * time.Microsecond), CPU: stat(2300 * time.Microsecond), Cold: stat(20 * time.Millisecond),
				Periods: []profile.Period{
					{Class: profile.CPU, Mean: 2 * time.Millisecond},
					{Class: profile.Block, Mean: 10 * time.Millisecond, Cause: "clock_nanosleep"},
					{Class: profile.CPU, Mean: 300 * time.Microsecond},
				},
				PeakRSS: 20 << 20, Memory: profile.Memory{Imports: profile.Footprint{RSS: 4_000_000}, Calls: profile.Footprint{Private: 500_000}, Transient: 200_000},
			},
			{
				Name: "a-function-with-quite-a-long-name-that-somebody-chose", Tasks: []string{"A", "B", "C"}, Lang: "python",
				Version: "3.11.7", Tracer: "strace", Slowdown: 1, Runs: 100, Wall: stat(123 * time.Millisecond), CPU: stat(123 * time.Millisecond),
				Periods: []profile.Period{
					{Class: profile.CPU, Mean: 23 * time.Millisecond}, {Class: profile.Native, Mean: 100 * time.Millisecond},
				},
				Notes: []string{"its mean is known only within ±8 % after 100 runs, which is a note that goes on for more than a line of text"},
			},
		},
	}
}

func TestReportProfile(t *testing.T) {
	got := printed(textProfile(sampleProfile(), "/project/profile.json"))
	fits(t, got)
	golden(t, "report/profile.txt", got)
}

// samplePlan is what the search might answer, in figures that are easy to check
// by eye.
func samplePlan(slo time.Duration) *pipeline.Prepared {
	const unit = time.Millisecond
	one := func(mode plan.Mode, tasks ...string) plan.Process {
		return plan.Process{Mode: mode, CPU: plan.Unpinned, Tasks: tasks}
	}
	chosen := &plan.Plan{Workflow: "finra-5", Model: "chiron", Wraps: []plan.Wrap{
		{Name: "wrap-1", CPUs: 2, Processes: []plan.Process{one(plan.Pool, "MarketData", "B"), one(plan.Fork, "A")}},
	}}
	fewer := &plan.Plan{Workflow: "finra-5", Model: "chiron", Wraps: []plan.Wrap{
		{Name: "wrap-1", CPUs: 1, Processes: []plan.Process{one(plan.Pool, "MarketData", "B", "A")}},
	}}
	predicted := &predict.Prediction{
		Latency: 100 * unit, CPU: 110 * unit, Memory: 21_000_000,
		Stages: []predict.StagePrediction{{Name: "MarketData", End: 20 * unit}, {Name: "Rules", Start: 20 * unit, End: 100 * unit}},
		Timeline: []predict.Span{
			{Task: "MarketData", Function: "market-data", Wrap: "wrap-1", Activity: predict.CPU, End: 10 * unit},
			{Task: "MarketData", Function: "market-data", Wrap: "wrap-1", Activity: predict.Block, Start: 10 * unit, End: 20 * unit},
			{Task: "A", Function: "rule", Wrap: "wrap-1", Process: 1, Activity: predict.Start, Start: 20 * unit, End: 30 * unit},
			{Task: "A", Function: "rule", Wrap: "wrap-1", Process: 1, Activity: predict.Native, Start: 30 * unit, End: 100 * unit},
			{Task: "B", Function: "rule", Wrap: "wrap-1", Activity: predict.Lock, Start: 20 * unit, End: 40 * unit},
			{Task: "B", Function: "rule", Wrap: "wrap-1", Activity: predict.CPU, Start: 40 * unit, End: 70 * unit},
		},
	}
	varied := &predict.Distribution{
		Samples: 4, Seed: 7, Mean: 103 * unit, StdDev: 8 * unit, P50: 100 * unit, P90: 106 * unit, P95: 115 * unit, P99: 115 * unit,
		Latencies: []time.Duration{91 * unit, 100 * unit, 106 * unit, 115 * unit},
	}
	met := slo == 0 || varied.P99 <= slo
	planned := &pipeline.Planned{
		Plan: chosen, Prediction: predicted, Distribution: varied, Met: met, Memory: 21_000_000, Took: 1500 * time.Microsecond,
		Money: 4.2, Prices: &prices.Table{Name: "mine", AsOf: "2026-11", Source: "https://prices.test/"},
		Bound: pipeline.Bound{Latency: 90 * unit, Tasks: []string{"MarketData", "A"}},
		Relaxed: []pipeline.Relaxed{
			{Without: "apart", Plan: fewer, Latency: 95 * unit, Met: met},
			{Without: "together", Plan: chosen, Latency: 100 * unit, Met: met},
			{Without: "limits", Plan: chosen, Latency: 80 * unit, Met: true},
		},
		Search: &pgp.Result{
			Plan: chosen, Prediction: predicted, Met: met, SLO: slo, Evaluations: 5,
			Skipped: []pgp.Skipped{{CPUs: 1, AtLeast: 130 * unit}},
			Steps: []pgp.Step{
				{Processes: 2, Mode: plan.Pool, Wraps: 1, CPUs: 1, Shared: true, Memory: 14_000_000, Latency: 180 * unit, Meets: slo == 0 || 180*unit <= slo, Why: "60.00 ms too slow"},
				{Processes: 2, Mode: plan.Fork, Wraps: 1, CPUs: 2, Memory: 21_000_000, Latency: 100 * unit, Meets: met},
			},
			Excluded: []pgp.Excluded{{Model: "sand", Why: "sand: this deployment model cannot run the workflow: wrap \"wrap-1\": tasks \"A\" and \"B\" may not share a wrap: functions \"a\" and \"b\" both write /tmp/out"}},
			Alternatives: []pgp.Alternative{
				{Name: "one CPU fewer", Plan: fewer, CPUs: 1, Latency: 180 * unit, Memory: 14_000_000, Meets: slo == 0 || 180*unit <= slo},
			},
		},
	}
	chosen.Objective = &plan.Objective{Goal: plan.FewestCPUs, MostCPUs: 2, Predicted: varied.Mean, Samples: varied.Samples, Seed: varied.Seed}
	if slo > 0 {
		chosen.Objective.SLO, chosen.Objective.Percentile, chosen.Objective.Predicted = slo, 99, varied.P99
		planned.Objective = &pipeline.Objective{Latency: pipeline.Millis(slo), Percentile: 99}
	}
	constants := predict.Paper()
	return &pipeline.Prepared{
		Profile: sampleProfile(), Planned: planned,
		Calibrated: &pipeline.Calibrated{Constants: &constants, File: "calibration.json"},
	}
}

func TestReportPlan(t *testing.T) {
	for name, slo := range map[string]time.Duration{"met": 120 * time.Millisecond, "missed": 10 * time.Millisecond, "no-slo": 0} {
		t.Run(name, func(t *testing.T) {
			prepared := samplePlan(slo)
			got := printed(textPlan(prepared, true, "/project/plan.json"))
			fits(t, got)
			golden(t, "report/plan-"+name+".txt", got)
			r := reportPlan(prepared)
			r.Explanation = explain(prepared.Planned)
			data, err := json.MarshalIndent(r, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			if name == "met" {
				golden(t, "report/plan-met.json", string(data)+"\n")
			}
		})
	}
}

// TestTimelineOfManyTasks: what does not fit is counted, long names are cut.
func TestTimelineOfManyTasks(t *testing.T) {
	p := &predict.Prediction{Latency: time.Second}
	for i := range 2 * timelineTasks {
		start := time.Duration(i) * time.Millisecond
		name := fmt.Sprintf("a-task-whose-name-is-longer-than-fits-%d", i)
		p.Timeline = append(p.Timeline, predict.Span{Task: name, Activity: predict.Start, End: start}, predict.Span{Task: name, Activity: predict.CPU, Start: start, End: time.Second})
	}
	got := printed(func(w io.Writer, s style) { printTimeline(w, s, p) })
	fits(t, got)
	if lines := strings.Count(got, "\n"); lines != timelineTasks+2 || !strings.Contains(got, "and 40 more tasks") {
		t.Errorf("%d lines: %s", lines, got)
	}
}

func TestReportRun(t *testing.T) {
	for name, slo := range map[string]time.Duration{"met": 120 * time.Millisecond, "missed": 10 * time.Millisecond, "no-slo": 0} {
		ran := &pipeline.Ran{
			Prepared: samplePlan(slo),
			Measured: &pipeline.Measurement{
				Requests: 50, WarmUp: 10, Output: []byte(`{"margin":12}`),
				Latency: profile.NewStat([]time.Duration{90 * time.Millisecond, 95 * time.Millisecond, 110 * time.Millisecond}),
				Samples: []time.Duration{90 * time.Millisecond, 95 * time.Millisecond, 110 * time.Millisecond},
			},
			Errors: pipeline.Errors{Mean: 0.0475, P50: 0.0526, P90: -0.036, P99: 0.045},
		}
		if slo > 0 {
			ran.Verdict = &pipeline.Verdict{
				Objective: *ran.Prepared.Planned.Objective, Measured: pipeline.Millis(110 * time.Millisecond), Met: name == "met", TooFew: true,
			}
		}
		got := printed(func(w io.Writer, s style) { printMeasured(w, s, ran) })
		fits(t, got)
		golden(t, "report/run-"+name+".txt", got)
		r, err := reportRun("finra-5", ran)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var v struct {
			Profile   struct{ Functions []any }
			Plan      struct{ Wraps []any }
			Predicted struct {
				LatencyMS float64 `json:"latency_ms"`
			}
			Measured struct {
				MedianMS float64 `json:"median_ms"`
				P99MS    float64 `json:"p99_ms"`
			}
			PredictionErrors struct{ Mean, P50, P90, P99 float64 } `json:"prediction_errors"`
			Verdict          *struct {
				MeasuredMS float64 `json:"measured_ms"`
				Met        bool
			}
			Output any
		}
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatal(err)
		}
		if len(v.Profile.Functions) != 2 || len(v.Plan.Wraps) != 1 || v.Predicted.LatencyMS != 100 || v.Measured.MedianMS != 95 ||
			v.Measured.P99MS != 110 || v.PredictionErrors.P50 != 0.0526 || v.PredictionErrors.P90 != -0.036 || v.Output == nil || (v.Verdict == nil) != (slo == 0) {
			t.Errorf("%s: %s", name, data)
		}
		if v.Verdict != nil && (v.Verdict.MeasuredMS != 110 || v.Verdict.Met != (name == "met")) {
			t.Errorf("%s: verdict %+v", name, v.Verdict)
		}
	}
}

func TestReportUp(t *testing.T) {
	r := upReport{Name: "finra-5", URL: "http://127.0.0.1:8080", PID: 4711}
	for i := range 20 {
		r.Functions = append(r.Functions, fmt.Sprintf("function-%d", i))
	}
	got := printed(textUp(r))
	fits(t, got)
	golden(t, "report/up.txt", got)
}

func TestReportStatus(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	got := printed(textStatus([]deploy.Status{
		{
			Name: "finra-5", State: deploy.Degraded, Gateway: "http://127.0.0.1:8080", Keeper: 4711, Started: now.Add(-3*time.Hour - 12*time.Minute),
			Notes: []string{"wraps are held to their CPUs by affinity alone: no control groups, since this process may make none of its own here"},
			Wraps: []deploy.WrapStatus{
				{Name: "wrap-1", State: deploy.WrapReady, PID: 4712, Since: now.Add(-90 * time.Second), Memory: 30_000_000},
				{Name: "wrap-2", State: deploy.WrapRestarting, Restarts: 3, Since: now.Add(-time.Second), LastError: "import function \"volume\": ModuleNotFoundError: No module named 'numpy'"},
			},
		},
		{Name: "hello", State: deploy.Dead, Started: now.Add(-50 * time.Hour)},
	}, now))
	fits(t, got)
	golden(t, "report/status.txt", got)
	if got := printed(textStatus(nil, now)); !strings.Contains(got, "chiron up") {
		t.Errorf("of nothing: %q", got)
	}
}

func TestLogText(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 5_000_000, time.Local)
	for _, c := range []struct {
		line deploy.LogLine
		want string
	}{
		{deploy.LogLine{Time: at, Wrap: "wrap-1", Function: "volume", Stream: "stdout", Text: "hi"}, "12:00:00.005 wrap-1/volume hi"},
		{deploy.LogLine{Time: at, Wrap: "wrap-2", Level: "INFO", Text: "serving", Attrs: json.RawMessage(`{"pid":7}`)}, `12:00:00.005 wrap-2 serving {"pid":7}`},
		{deploy.LogLine{Time: at, Wrap: "w", Function: "f", Stream: "stdout", Text: "\x1b[2J\rwrap-1\ta\\b é\u009b\xff\x00"}, `12:00:00.005 w/f \x1b[2J\rwrap-1` + "\t" + `a\b é\u009b\xff\x00`},
	} {
		if got := logText(style{}, c.line); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestReportCalibration(t *testing.T) {
	constants := predict.Paper()
	constants.Machine, constants.Version = sampleProfile().Machine, "3.11.7"
	constants.Spread, constants.Together = []float64{0.5, 0.75, 0.8, 0.85, 0.9, 1, 1.1, 1.2, 1.3, 1.5, 4}, 0.65
	got := printed(textCalibration(&pipeline.Calibrated{
		Constants: &constants, File: "/cache/calibration.json",
		Report: &calibrate.Report{
			Calibration: &constants, Took: 12300 * time.Millisecond,
			Constants: []calibrate.Constant{
				{Name: "Request", Value: 234 * time.Microsecond, Spread: 45 * time.Microsecond, How: "a sequence's latency less its tasks"},
				{Name: "Startup", Symbol: "T_Startup", Value: 5 * time.Millisecond, How: "one forked process, less what the request and the function take, and a way to say so that is long"},
			},
			Checks: []calibrate.Check{
				{Shape: "sequence-1", Predicted: 1520 * time.Microsecond, Measured: 1500 * time.Microsecond, Fitted: true},
				{Shape: "mixed", Predicted: 15 * time.Millisecond, Measured: 20 * time.Millisecond},
			},
			Notes: []string{"the prediction of mixed is off by -25 %"},
		},
	}))
	fits(t, got)
	golden(t, "report/calibration.txt", got)
}

func TestReportDoctor(t *testing.T) {
	e := &pipeline.Examination{
		Machine: profile.Machine{CPUModel: "Test CPU", CPUs: 2, Kernel: "6.1", OS: "linux", Arch: "amd64"},
		Findings: []pipeline.Finding{
			{Subject: "CPUs", Level: pipeline.Good, Found: "2 usable"},
			{Subject: "python", Level: pipeline.Missing, Found: "none of version 3.8 or newer", Cost: "no function can run", Fix: "install it"},
			{Subject: "tracing", Level: pipeline.Lacks, Found: "strace: ptrace is not permitted here, since /proc/sys/kernel/yama/ptrace_scope is 3, and so on and on", Cost: "less is known", Fix: "as root"},
			{Subject: "tracing", Level: pipeline.Good, Found: "portable: waits over half a millisecond"},
		},
	}
	got := printed(textExamination(e))
	fits(t, got)
	golden(t, "report/doctor.txt", got)
}

// TestJSON: what --output json prints is JSON.
func TestJSON(t *testing.T) {
	for _, args := range []string{"version", "doctor --listen 127.0.0.1:0"} {
		got := chiron(t, append(strings.Fields(args), "--output", "json")...)
		var v map[string]any
		if err := json.Unmarshal([]byte(got.out), &v); err != nil || len(v) == 0 {
			t.Errorf("%s: %v: %q", args, err, got.out)
		}
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestAReportThatCannotBeWrittenIsAFailure(t *testing.T) {
	for _, output := range []string{"text", "json"} {
		var err bytes.Buffer
		a := &app{out: brokenPipe{}, err: &err, env: func(string) string { return "" }}
		if code := run(t.Context(), a, []string{"version", "-o", output}); code != exitFailed || !strings.Contains(err.String(), "broken pipe") {
			t.Errorf("%s: exit code %d, %q", output, code, err.String())
		}
	}
}

func TestUnits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.00", 1234 * time.Microsecond: "1.23", 9996 * time.Microsecond: "10.0", 12345 * time.Microsecond: "12.3",
		99960 * time.Microsecond: "100", 1234 * time.Millisecond: "1234", -1234 * time.Microsecond: "-1.23",
	} {
		if got := ms(d); got != want {
			t.Errorf("ms(%v) = %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 99_940: "99.9 kB", 123_456: "123 kB", 4_700_000: "4.7 MB", 2_500_000_000_000: "2500 GB",
	} {
		if got := bytesText(n); got != want {
			t.Errorf("bytesText(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestReportDiff(t *testing.T) {
	after := sampleProfile()
	after.Machine.CPUs = 4
	f := &after.Functions[0]
	f.Version, f.Wall.Mean = "3.12.1", 15*time.Millisecond
	f.Periods = append(f.Periods, profile.Period{Class: profile.Native, Mean: 3 * time.Millisecond, StdDev: time.Millisecond})
	f.Periods[0].Mean = 100 * time.Millisecond
	f.Memory.Imports.RSS *= 2
	f.Files = []string{"/tmp/" + strings.Repeat("long/", 30)}
	f.Sockets = []string{"connect tcp 127.0.0.1:9753"}
	after.Functions = append(after.Functions, profile.Function{Name: "fresh"})
	d := profile.Compare(sampleProfile(), after)
	got := printed(textDiff(d, "finra-5", "old.json"))
	fits(t, got)
	golden(t, "report/diff.txt", got)
	same := printed(textDiff(profile.Compare(sampleProfile(), sampleProfile()), "finra-5", "old.json"))
	golden(t, "report/diff-none.txt", same)
}
