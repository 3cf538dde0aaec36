package profile

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const ms = time.Millisecond

// sample has every field set, and times that floats do not hold by themselves.
func sample() *Profile {
	return &Profile{
		Workflow: "orders",
		Machine:  Machine{CPUModel: "A CPU", CPUs: 2, Kernel: "6.1", OS: "linux", Arch: "amd64"},
		Created:  time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
		Functions: []Function{
			{
				Name: "check", Tasks: []string{"Check", "CheckAgain"},
				Lang: "python", Version: "3.11.7", Tracer: "strace", Slowdown: 1.25, Runs: 20,
				Wall: Stat{Mean: 3*ms + 7, StdDev: 1234567, Min: 2 * ms, P50: 3 * ms, P99: 5 * ms, Max: 5 * ms},
				CPU:  Stat{Mean: 1 * ms, StdDev: 1, Min: 1 * ms, P50: 1 * ms, P99: 1 * ms, Max: 1 * ms},
				Cold: Stat{Mean: 9*ms + 1, StdDev: 2, Min: 8 * ms, P50: 9 * ms, P99: 11 * ms, Max: 11 * ms}, ColdCPU: Stat{Mean: 4 * ms, Min: 4 * ms, P50: 4 * ms, P99: 4 * ms, Max: 4 * ms}, RunQueue: 3,
				Periods: []Period{
					{Class: CPU, Mean: 1*ms + 3, StdDev: 5},
					{Class: Block, Mean: 1*ms + 4, Cause: "fsync"},
					{Class: Native, Mean: 1 * ms},
				},
				Walls:   []time.Duration{2 * ms, 3*ms + 1, 5 * ms},
				PeakRSS: 20 << 20,
				Memory: Memory{
					Host: Footprint{9, 8, 7}, Worker: Footprint{6, 5, 4}, Imports: Footprint{3, 2, 1},
					Calls: Footprint{12, 11, 10}, Transient: 13,
				},
				Files: []string{"/tmp/a", "/tmp/b"}, Sockets: []string{"bind udp 0.0.0.0:53", "connect unix /run/x.sock"},
				InputBytes: 7, OutputBytes: 8, Notes: []string{"a \"note\" <&>"},
			},
			{
				Name: "sum", Tasks: []string{"Sum"}, Lang: "python", Version: "3.8.18", Tracer: "portable", Runs: 10,
				Periods: []Period{{Class: CPU}},
			},
		},
	}
}

func TestWriteAndRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "profile.json")
	want := sample()
	for range 2 { // the second replaces the first
		if err := Write(path, want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what was read is not what was written (-want +got):\n%s", diff)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("Write left files behind: %v", entries)
	}
}

func TestEncodeIsReadable(t *testing.T) {
	var first, second bytes.Buffer
	if err := sample().Encode(&first); err != nil {
		t.Fatal(err)
	}
	if err := sample().Encode(&second); err != nil {
		t.Fatal(err)
	}
	if first.String() != second.String() {
		t.Error("the same profile encodes to different bytes")
	}
	for _, line := range []string{
		`      "wall": {"mean_ms":3.000007,"stddev_ms":1.234567,"min_ms":2,"p50_ms":3,"p99_ms":5,"max_ms":5},`,
		`        {"at_ms":1.000003,"class":"block","cause":"fsync","mean_ms":1.000004,"stddev_ms":0},`,
		`      "files": []`,
	} {
		if !strings.Contains(first.String(), line) {
			t.Errorf("the text lacks %s:\n%s", line, first.String())
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	var text bytes.Buffer
	if err := sample().Encode(&text); err != nil {
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
		"empty":             {" \n", "it is empty"},
		"truncated":         {good[:len(good)/2], "truncated after"},
		"truncated at end":  {strings.TrimSpace(good)[:len(good)-3], "truncated after"},
		"not JSON":          {change(`"runs": 20`, `"runs": twenty`), "line 14, column 16"},
		"more behind":       {good + "{}", "it is not JSON"},
		"no version":        {change(`"apiVersion": "chiron/v2",`, ``), "no apiVersion"},
		"older version":     {change(`chiron/v2`, `chiron/v1`), `its apiVersion is "chiron/v1", but this program reads "chiron/v2": make it again`},
		"other version":     {change(`chiron/v2`, `chiron/v9`), `apiVersion is "chiron/v9"`},
		"walls not sorted":  {change(`[2,3.000001,5]`, `[2,5,3.000001]`), "walls_ms: they are not sorted"},
		"walls elsewhere":   {change(`[2,3.000001,5]`, `[2,3,6]`), "walls_ms: they go from 2ms to 6ms, but the wall time from 2ms to 5ms"},
		"a negative wall":   {change(`[2,3.000001,5]`, `[-2,3,5]`), "walls_ms: a time is negative"},
		"too many walls":    {change(`[2,3.000001,5]`, `[2,3,4`+strings.Repeat(",5", 100)+`]`), "walls_ms: there are 103: 101 at most"},
		"walls of no run":   {change(`"runs": 20`, `"runs": 2`), "walls_ms: there are 3, of 2 runs"},
		"negative memory":   {change(`"transient_bytes":13`, `"transient_bytes":-13`), "memory.transient_bytes is negative"},
		"negative imports":  {change(`"rss_bytes":3,`, `"rss_bytes":-3,`), "memory.imports is negative"},
		"unknown key":       {change(`"cold"`, `"cold_us"`), `"cold_us"`},
		"wrong type":        {change(`"runs": 20`, `"runs": "20"`), "must not be a JSON string"},
		"unknown class":     {change(`"native"`, `"naive"`), `unknown class "naive"`},
		"overlap":           {change(`"at_ms":1.000003`, `"at_ms":0.9`), "may not overlap"},
		"gap":               {change(`"at_ms":1.000003`, `"at_ms":1.1`), "may leave no gap"},
		"negative period":   {change(`"cause":"fsync","mean_ms":1`, `"cause":"fsync","mean_ms":-1`), "negative"},
		"sum":               {change(`"mean_ms":3.000007`, `"mean_ms":4.000007`), "periods take 3.000007ms in all, but its wall time is 4.000007ms"},
		"order":             {change(`"p50_ms":3,"p99_ms":5`, `"p50_ms":5,"p99_ms":3`), "not in order"},
		"negative time":     {change(`"cold": {"mean_ms":9.000001`, `"cold": {"mean_ms":-9`), "cold: "},
		"huge time":         {change(`"run_queue_ms": 0.000003`, `"run_queue_ms": 1e300`), "beyond a day"},
		"cause of CPU":      {change(`"class":"native"`, `"class":"native","cause":"read"`), "has no cause"},
		"no periods":        {change(`{"at_ms":0,"class":"cpu","mean_ms":0,"stddev_ms":0}`, ``), "no periods"},
		"no runs":           {change(`"runs": 20`, `"runs": 0`), "at least one"},
		"task twice":        {change(`["Sum"]`, `["Check"]`), `task "Check" is that of "check" already`},
		"no tasks":          {change(`["Sum"]`, `[]`), "names no tasks"},
		"null periods etc.": {change(`"functions": [`, `"functions": null, "x": [`), `a field "x" that this program does not know`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode([]byte(test.text))
			if err == nil {
				t.Fatal("it was accepted")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %q, which does not say %q", err, test.want)
			}
		})
	}
}

func TestDecodeTakesPeriodsWithoutAt(t *testing.T) {
	var text bytes.Buffer
	if err := sample().Encode(&text); err != nil {
		t.Fatal(err)
	}
	edited := strings.NewReplacer(`"at_ms":0,`, ``, `"at_ms":1.000003,`, ``, `"at_ms":2.000007,`, ``).Replace(text.String())
	if strings.Contains(edited, "at_ms") {
		t.Fatal("the test left an at_ms in")
	}
	got, err := Decode([]byte(edited))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), got); diff != "" {
		t.Error(diff)
	}
}

func TestReadNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.json")
	if _, err := Read(path); err == nil || !os.IsNotExist(unwrapAll(err)) || !strings.Contains(err.Error(), path) {
		t.Errorf("a missing file gives %v", err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a bad file gives %v", err)
	}
}

func unwrapAll(err error) error {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		err = inner.Unwrap()
	}
}

func TestWriteRefusesWhatReadWould(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.json")
	p := sample()
	p.Functions[0].Periods[0].Mean = -1
	if err := Write(path, p); err == nil {
		t.Error("a negative period was written")
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a file was left: %v", err)
	}
	if err := Write(filepath.Join(path, "no", "folder"), sample()); err == nil {
		t.Error("a folder that is missing was no error")
	}
}

func FuzzDecode(f *testing.F) {
	var text bytes.Buffer
	if err := sample().Encode(&text); err != nil {
		f.Fatal(err)
	}
	f.Add(text.Bytes())
	f.Add([]byte(`{"apiVersion":"chiron/v2"}`))
	f.Add([]byte(`{"apiVersion":"chiron/v2","functions":[{"periods":[{"mean_ms":1e9}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Decode(data)
		if err != nil {
			return
		}
		// Whatever is accepted can be written, and means the same when read.
		var text bytes.Buffer
		if err := p.Encode(&text); err != nil {
			t.Fatalf("accepted, but not written: %v", err)
		}
		again, err := Decode(text.Bytes())
		if err != nil {
			t.Fatalf("written, but not read: %v\n%s", err, text.String())
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Error(diff)
		}
	})
}
