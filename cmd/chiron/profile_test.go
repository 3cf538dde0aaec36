package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
)

// smallProject has two functions and the interpreter that runs them.
func smallProject(t *testing.T) (dir string, python host.Interpreter) {
	t.Helper()
	python, err := host.FindInterpreter(t.Context(), "python", "")
	if err != nil {
		t.Skip(err)
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir = t.TempDir()
	for name, text := range map[string]string{
		"chiron.yaml": "name: small\nslo: 1s\ndefinition: workflow.asl.json\ninput: sample.json\nfunctions:\n" +
			"  double: {lang: python, handler: double.py, runtime: " + python.Path + "}\n  nap: {lang: python, handler: nap.py, runtime: " + python.Path + "}\n",
		"workflow.asl.json": `{"StartAt":"Double","States":{"Double":{"Type":"Task","Resource":"double","Next":"Nap"},"Nap":{"Type":"Task","Resource":"nap","End":true}}}`,
		"sample.json":       "20",
		"double.py":         "def handler(event, context):\n    return event * 2\n",
		"nap.py":            "import time\n\n\ndef handler(event, context):\n    time.sleep(0.002)\n    return event\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, python
}

func TestProfilePlotAndDiff(t *testing.T) {
	dir, _ := smallProject(t)
	if got := chiron(t, "profile", dir, "--runs", "10", "--tracer", "portable"); got.code != exitDone {
		t.Fatal(got.err)
	}
	old := filepath.Join(dir, "profile.json")
	longer := "import time\n\n\ndef handler(event, context):\n    time.sleep(0.030)\n    return event\n"
	if err := os.WriteFile(filepath.Join(dir, "nap.py"), []byte(longer), 0o600); err != nil {
		t.Fatal(err)
	}
	picture := filepath.Join(dir, "profile.svg")
	// The old profile is the file that the new one replaces.
	got := chiron(t, "profile", dir, "--runs", "10", "--tracer", "portable", "--diff", old, "--plot", picture)
	if got.code != exitDone || !strings.Contains(got.out, "what changed since") || !strings.Contains(got.out, "nap\n") || !strings.Contains(got.out, "wall") {
		t.Errorf("exit code %d, %s%s", got.code, got.out, got.err)
	}
	fits(t, got.out)
	drawn, err := os.ReadFile(picture)
	if err != nil || !bytes.Contains(drawn, []byte("clock_nanosleep")) && !bytes.Contains(drawn, []byte("select")) || !bytes.Contains(drawn, []byte(">double<")) {
		t.Errorf("%v: %s", err, drawn)
	}
	got = chiron(t, "profile", dir, "--runs", "10", "--tracer", "portable", "--diff", old, "--output", "json")
	var d profile.Diff
	if err := json.Unmarshal([]byte(got.out), &d); err != nil || d.Unchanged+len(d.Functions) != 2 {
		t.Errorf("%v: %s", err, got.out)
	}
}

// TestProfileDiffOfABadFile: an error in one line, before anything is measured.
func TestProfileDiffOfABadFile(t *testing.T) {
	dir, _ := smallProject(t)
	var text bytes.Buffer
	if err := sampleProfile().Encode(&text); err != nil {
		t.Fatal(err)
	}
	good := text.String()
	change := func(old, replacement string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the sample has no %s", old)
		}
		return strings.Replace(good, old, replacement, 1)
	}
	for name, test := range map[string]struct{ text, want string }{
		"truncated":  {good[:len(good)/2], "it is truncated after"},
		"overlap":    {change(`"at_ms":2,`, `"at_ms":1,`), `function "market-data": period 2 starts at 1ms, before the one before it ends at 2ms: periods may not overlap`},
		"negative":   {change(`"class":"cpu","mean_ms":2,`, `"class":"cpu","mean_ms":-2,`), "a period cannot be negative"},
		"older form": {change("chiron/v2", "chiron/v1"), `its apiVersion is "chiron/v1", but this program reads "chiron/v2": make it again`},
		"empty":      {"", "it is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "old.json")
			if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got := chiron(t, "profile", dir, "--diff", file)
			if got.code != exitFailed || !strings.Contains(got.err, test.want) || !strings.Contains(got.err, file) || strings.Count(got.err, "\n") != 1 {
				t.Errorf("exit code %d, %q, want one line with %q", got.code, got.err, test.want)
			}
			if _, err := os.Stat(filepath.Join(dir, "profile.json")); err == nil {
				t.Error("it measured all the same")
			}
		})
	}
}

// TestPlanOfABadProfile: what does not hold is measured again, and said why.
func TestPlanOfABadProfile(t *testing.T) {
	dir, python := smallProject(t)
	constants := predict.Paper()
	constants.Machine, constants.Version = profile.ThisMachine(), python.Version
	constants.Spread = []float64{1, 1}
	calibration := filepath.Join(dir, "calibration.json")
	if err := constants.Write(calibration); err != nil {
		t.Fatal(err)
	}
	plan := func() result {
		t.Helper()
		return chiron(t, "plan", dir, "--calibration", calibration, "--runs", "10", "--tracer", "portable")
	}
	if got := plan(); got.code != exitDone {
		t.Fatal(got.err)
	}
	file := filepath.Join(dir, "profile.json")
	swap := func(old, replacement string) func(string) string {
		return func(good string) string { return strings.Replace(good, old, replacement, 1) }
	}
	for name, test := range map[string]struct {
		change func(good string) string
		want   string
	}{
		"fine":           {func(good string) string { return good }, "profile.json is up to date"},
		"truncated":      {func(good string) string { return good[:len(good)/2] }, "it is truncated after"},
		"another Python": {swap(`"version": "`+python.Version+`"`, `"version": "3.6.1"`), `function "double" was measured on python 3.6.1, and runs on ` + python.Version},
		"another CPU":    {swap(`"cpus":`, `"cpus":9`), "it was measured on another number of CPUs"},
		"edited":         {func(good string) string { return good + "\n" }, "changed or replaced since it was measured"},
		"older form":     {swap("chiron/v2", "chiron/v1"), `its apiVersion is "chiron/v1"`},
	} {
		t.Run(name, func(t *testing.T) {
			good, err := os.ReadFile(file) // as the case before measured it anew
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(test.change(string(good))), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := plan(); got.code != exitDone || !strings.Contains(got.err, test.want) {
				t.Errorf("exit code %d, %q, want %q", got.code, got.err, test.want)
			}
		})
	}
}

// stopper ends a context when a text is written.
type stopper struct {
	bytes.Buffer
	text string
	stop context.CancelFunc
}

func (s *stopper) Write(p []byte) (int, error) {
	n, err := s.Buffer.Write(p)
	if strings.Contains(s.String(), s.text) {
		s.stop()
	}
	return n, err
}

// TestCalibrationOfElsewhere is not used: the constants are measured again, and it
// is said why. The measurement itself is cut short.
func TestCalibrationOfElsewhere(t *testing.T) {
	dir, python := smallProject(t)
	for name, test := range map[string]struct {
		change func(c *predict.Calibration)
		cut    bool
		want   string
	}{
		"another machine": {func(c *predict.Calibration) { c.Machine.CPUs += 7 }, false, "are from another number of CPUs"},
		"another Python":  {func(c *predict.Calibration) { c.Version = "3.6.1" }, false, "are Python 3.6.1's, not " + python.Version + "'s"},
		"truncated":       {func(*predict.Calibration) {}, true, "calibration.json"},
	} {
		t.Run(name, func(t *testing.T) {
			c := predict.Paper()
			c.Machine, c.Version = profile.ThisMachine(), python.Version
			c.Spread = []float64{1, 1}
			test.change(&c)
			file := filepath.Join(t.TempDir(), "calibration.json")
			if err := c.Write(file); err != nil {
				t.Fatal(err)
			}
			if test.cut {
				if err := os.Truncate(file, 40); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			const said = "measuring this machine's constants: "
			errs := &stopper{text: said, stop: cancel}
			var out bytes.Buffer
			a := &app{in: strings.NewReader(""), out: &out, err: errs, env: func(string) string { return "" }, agent: noAgent}
			run(ctx, a, []string{"plan", dir, "--calibration", file, "--runs", "10", "--tracer", "portable"})
			_, why, ok := strings.Cut(errs.String(), said)
			if !ok || !strings.Contains(why, test.want) {
				t.Errorf("standard error: %q, want why, with %q", errs.String(), test.want)
			}
		})
	}
}
