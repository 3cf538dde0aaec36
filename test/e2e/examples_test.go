package e2e

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// outputs of the examples with their sample inputs.
var outputs = map[string]string{
	"hello": `{"greeting": "Hello, world!", "from": "your first workflow"}`,
	"finra-5": `{"valid": false, "equity": 97124253.04, "margin_required": 24218563.26, "margin_balance": 72905689.78,
		"violations": {"lastprice": [24], "side": [8], "tradedate": [15, 17, 43, 70, 78, 80, 107], "volume": [78]}}`,
	"slapp": `{"factorial": 4000, "fibonacci": 21, "digits": 700, "iterations": 20000, "disk_bytes": 1048576, "network_bytes": 262144,
		"first": [{"bytes": 2097152}, {"bits": 42100}, {"bytes": 1048576, "crc32": 80798773}, {"fibonacci": 10946}],
		"second": [{"bytes": 2097152}, {"last": "9689258923"}, {"key": "e78908dbf2932fb880cae42c591d68c901ce2d1f115619c6be2f181a0a6fd542"}]}`,
}

// example copies an example, its object store to a free port.
func example(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "examples", name))); err != nil {
		t.Fatal(err)
	}
	for _, made := range []string{".chiron", "profile.json", "plan.json"} {
		if err := os.RemoveAll(filepath.Join(dir, made)); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "chiron.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), "127.0.0.1:9753", free)), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestExamples(t *testing.T) {
	for name, want := range outputs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t)
			// The SLO is lenient, since a test's machine is busy with tests.
			out := u.good("run", example(t, name), "--slo", "20s", "--requests", "50", "--runs", "10", "--calibration", calibration(), "--output", "json")
			var report struct {
				Workflow string
				Profile  struct {
					Functions []struct {
						Name    string
						Runs    int
						Periods []json.RawMessage
					}
				}
				Plan      struct{ Wraps []json.RawMessage }
				Predicted struct {
					LatencyMS float64 `json:"latency_ms"`
				}
				Measured struct {
					Requests int
					MedianMS float64 `json:"median_ms"`
					P99MS    float64 `json:"p99_ms"`
				}
				Verdict struct{ Met bool }
				Output  any
			}
			if err := json.Unmarshal([]byte(out), &report); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if report.Workflow != name || len(report.Plan.Wraps) == 0 || report.Predicted.LatencyMS <= 0 || !report.Verdict.Met {
				t.Errorf("report %+v", report)
			}
			if m := report.Measured; m.Requests < 50 || m.MedianMS <= 0 || m.P99MS < m.MedianMS {
				t.Errorf("measured %+v", m)
			}
			for _, f := range report.Profile.Functions {
				if f.Runs < 10 || len(f.Periods) == 0 {
					t.Errorf("profile of %s: %d runs, %d periods", f.Name, f.Runs, len(f.Periods))
				}
			}
			var expected any
			if err := json.Unmarshal([]byte(want), &expected); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(expected, report.Output); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
			u.gone()
		})
	}
}

// TestFirstProject is the README's first five minutes.
func TestFirstProject(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	dir := filepath.Join(t.TempDir(), "first")
	u.good("init", dir)
	text := u.good("run", dir, "--slo", "20s", "--requests", "50", "--calibration", calibration())
	for _, want := range []string{"Profile", "wrap-1", "predicted: p50", "Measured", "p99", "SLO met"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report has no %q:\n%s", want, text)
		}
	}
	explained := u.good("plan", dir, "--slo", "20s", "--explain", "--calibration", calibration())
	for _, want := range []string{"faastlane", "one-to-one", "CPU"} {
		if !strings.Contains(explained, want) {
			t.Errorf("the explanation has no %q:\n%s", want, explained)
		}
	}
	s := u.up(dir)
	if got := u.good("invoke", "first", "-d", `{"name": "Ada"}`); !strings.Contains(got, "Hello, Ada!") {
		t.Errorf("invoke: %s", got)
	}
	if got := u.good("invoke", "greet", "-d", `{"name": "Ada"}`); !strings.Contains(got, "Hello, Ada!") {
		t.Errorf("invoke a function: %s", got)
	}
	if got := u.good("ps"); !strings.Contains(got, "first") || !strings.Contains(got, s.url) {
		t.Errorf("ps: %s", got)
	}
	if got := u.good("logs", "first", "--function", "greet"); !strings.Contains(got, "greeting Ada") {
		t.Errorf("logs: %s", got)
	}
	u.good("down", "first")
	<-s.ended
	u.gone()
	if got := u.chiron("invoke", "first", "--gateway", s.url); got.code != 1 {
		t.Errorf("invoke after down: exit code %d, %s", got.code, got.errors)
	}
	if got := u.good("doctor"); !strings.Contains(got, "python") {
		t.Errorf("doctor: %s", got)
	}
}
