package simulate

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func played(a Arrivals) (all []time.Duration) {
	for {
		at, more := a.Next()
		if !more {
			return all
		}
		all = append(all, at)
	}
}

func TestTraceOfTimes(t *testing.T) {
	want := []time.Duration{0, 250 * time.Millisecond, 250 * time.Millisecond, 2 * time.Second}
	for name, text := range map[string]string{
		"seconds":  "time\n10\n10.25\n\n# a pause\n10.250\n12\n",
		"clock":    "2026-01-01T00:00:00Z\n2026-01-01T00:00:00.25Z\r\n2026-01-01T01:00:00.25+01:00\n2026-01-01T00:00:02Z",
		"bom":      "\ufefftime\n0\n.25\n0.25\n2",
		"exponent": "0\n25e-2\n0.25\n2",
	} {
		trace, err := ReadTrace(strings.NewReader(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := played(trace.Arrivals(0, 1)); !slices.Equal(got, want) {
			t.Errorf("%s: %v", name, got)
		}
		if trace.Requests() != 4 || trace.Rate() != 2 {
			t.Errorf("%s: %d requests, %v a second", name, trace.Requests(), trace.Rate())
		}
		if got := played(trace.Arrivals(20, 1)); got[3] != 200*time.Millisecond {
			t.Errorf("%s: ten times as fast: %v", name, got)
		}
	}
}

func TestTraceOfCounts(t *testing.T) {
	trace, err := ReadTrace(strings.NewReader("time,count\n60,100\n120,0\n180,50\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := played(trace.Arrivals(0, 1))
	if len(got) != 150 || trace.Rate() != 150.0/180 {
		t.Fatalf("%d requests, %v a second", len(got), trace.Rate())
	}
	for i, at := range got {
		if i < 100 && at > time.Minute || i >= 100 && (at < 2*time.Minute || at > 3*time.Minute) {
			t.Errorf("request %d comes at %v", i, at)
		}
	}
	if again := played(trace.Arrivals(0, 1)); !slices.Equal(got, again) {
		t.Error("one seed gives two plays")
	}
}

func TestWrongTrace(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "no request",
		"time\n":                        "no request",
		"0,0\n1,0\n":                    "no request",
		"0,5\n":                         "one interval has no end",
		"0\nx\n":                        `line 2: "x" is no time`,
		"time\nmore\n":                  `line 2: "more" is no time`,
		"-1\n":                          `line 1: a time of "-1"`,
		"1e400\n":                       `line 1: "1e400" is no time`,
		"NaN\n1\n":                      "", // a title
		"1\nNaN\n":                      `a time of "NaN"`,
		"1\nInf\n":                      `a time of "Inf"`,
		"2\n1\n":                        "line 2: 1 is before the line above",
		"1,1\n1,1\n":                    "line 2: the interval at 1 is there twice",
		"1,1\n2\n":                      "line 2: 1 columns, and 2 before",
		"1,1,1\n":                       "line 1: 3 columns",
		"1,x\n":                         `a count of "x"`,
		"1,-1\n":                        `a count of "-1"`,
		"1,1.5\n":                       `a count of "1.5"`,
		"1,99999999\n":                  "a count of",
		"0,20000000\n1,1\n":             "more than 20000000 requests",
		"1\n2026-01-01T00:00:00Z\n":     "is no time",
		"2026-01-01T00:00:00Z\n1\n":     "is no time",
		strings.Repeat("1", 300) + "\n": "more than 256 bytes",
		"0001-01-01T00:00:00Z\n2026-01-01T00:00:00Z": "s after the first line",
	} {
		_, err := ReadTrace(strings.NewReader(text))
		switch {
		case want == "" && err == nil:
		case err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n"):
			t.Errorf("%.40q: %v, want one line with %q", text, err, want)
		}
	}
}

// FuzzReadTrace: what is read can be played: as many requests as it says, in
// order, from the begin on.
func FuzzReadTrace(f *testing.F) {
	for _, seed := range []string{"0\n1\n", "time,count\n0,3\n60,2\n", "2026-01-01T00:00:00Z\n", "#\n\n1e3\n", "x\n,\n", "1,2,3"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		trace, err := ReadTrace(strings.NewReader(text))
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a line: %q", err)
			}
			return
		}
		if trace.Requests() > 1_000_000 {
			return // it takes long
		}
		got := played(trace.Arrivals(0, 1))
		if len(got) > trace.Requests() || !slices.IsSorted(got) || len(got) > 0 && got[0] < 0 {
			t.Errorf("%d requests of %d: %v", len(got), trace.Requests(), got)
		}
	})
}
