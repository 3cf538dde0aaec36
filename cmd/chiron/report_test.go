package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/pipeline"
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
				Slowdown: 1.1, Runs: 20, Wall: stat(12300 * time.Microsecond), CPU: stat(2300 * time.Microsecond), Cold: 20 * time.Millisecond,
				Periods: []profile.Period{
					{Class: profile.CPU, Mean: 2 * time.Millisecond},
					{Class: profile.Block, Mean: 10 * time.Millisecond, Cause: "clock_nanosleep"},
					{Class: profile.CPU, Mean: 300 * time.Microsecond},
				},
				PeakRSS: 20 << 20, AddedRSS: 4_700_000,
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
