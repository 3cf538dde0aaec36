package perf

import (
	"encoding/binary"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/profile/syscalls"
)

const (
	us = time.Microsecond
	ms = time.Millisecond
)

// record is one as the kernel writes it.
func record(kind uint32, misc uint16, body int, at uint64) []byte {
	order := binary.NativeEndian
	length := headerSize + body + idSize
	raw := order.AppendUint32(nil, kind)
	raw = order.AppendUint16(raw, misc)
	raw = order.AppendUint16(raw, uint16(length))
	raw = append(raw, make([]byte, body)...)
	raw = order.AppendUint32(raw, 7)
	raw = order.AppendUint32(raw, 8)
	return order.AppendUint64(raw, at)
}

func TestParse(t *testing.T) {
	var data []byte
	for _, r := range [][]byte{
		record(recordSwitch, switchOut, 0, 100),
		record(recordSwitch, 0, 0, 200),
		record(99, 0, 8, 250), // of a kind that was not asked for
		record(recordSwitch, switchOut|displaced, 0, 300),
		record(recordSwitch, 0, 0, 400),
	} {
		data = append(data, r...)
	}
	want := []event{{at: 100, waits: true}, {at: 200, came: true}, {at: 300}, {at: 400, came: true}}
	end := uint64(len(data))
	compare := cmp.AllowUnexported(event{})
	for name, test := range map[string]struct {
		data     []byte
		from, to uint64
		want     []event
		lost     bool
	}{
		"whole":     {data, 0, end, want, false},
		"nothing":   {data, 24, 24, nil, false},
		"the first": {data, 0, 24, want[:1], false},
		// A ring: the first record is where the end is, and is cut by it.
		"around the end": {append(append([]byte{}, data[10:]...), data[:10]...), end - 10, 2*end - 10, want, false},
		"cut":            {data, 0, 30, want[:1], true},
		"a short header": {data, 0, 26, want[:1], true},
		"zeros":          {make([]byte, 64), 0, 64, nil, true},
		"more than fits": {data, 0, end + 1, nil, true},
		"lost":           {record(recordLost, 0, 16, 1), 0, 40, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, lost := parse(test.data, test.from, test.to, nil)
			if diff := cmp.Diff(test.want, got, compare); diff != "" || lost != test.lost {
				t.Errorf("lost %v, want %v; %s", lost, test.lost, diff)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(record(recordSwitch, switchOut, 0, 5), uint64(0), uint64(24))
	f.Add(record(recordLost, 0, 16, 5), uint64(0), uint64(40))
	f.Fuzz(func(t *testing.T, data []byte, from, to uint64) {
		events, lost := parse(data, from, to, nil)
		if from < to && to-from > uint64(len(data)) && !lost {
			t.Errorf("%d bytes hold %d", len(data), to-from)
		}
		if len(events)*(headerSize+idSize) > len(data) {
			t.Errorf("%d bytes hold %d events", len(data), len(events))
		}
	})
}

func TestSegments(t *testing.T) {
	leaves := func(at time.Duration) event { return event{at: int64(at), waits: true} }
	put := func(at time.Duration) event { return event{at: int64(at)} }
	comes := func(at time.Duration) event { return event{at: int64(at), came: true} }
	cpu := func(took time.Duration) profile.Segment { return profile.Segment{Class: profile.CPU, Took: took} }
	block := func(took time.Duration, cause string) profile.Segment {
		return profile.Segment{Class: profile.Block, Took: took, Cause: cause}
	}
	const sleeps = syscalls.State(unix.SYS_CLOCK_NANOSLEEP)
	for name, test := range map[string]struct {
		events  []event
		samples []sample
		want    []profile.Segment
		held    time.Duration
	}{
		"computes": {nil, nil, []profile.Segment{cpu(10 * ms)}, 0},
		"sleeps": {
			[]event{leaves(2 * ms), comes(7 * ms)},
			[]sample{{int64(1 * ms), syscalls.Running}, {int64(3 * ms), sleeps}},
			[]profile.Segment{cpu(2 * ms), block(5*ms, "clock_nanosleep"), cpu(3 * ms)},
			0,
		},
		"no sample": {
			[]event{leaves(2 * ms), comes(7 * ms)},
			[]sample{{int64(8 * ms), sleeps}},
			[]profile.Segment{cpu(2 * ms), block(5*ms, ""), cpu(3 * ms)},
			0,
		},
		"displaced": {[]event{put(2 * ms), comes(7 * ms)}, nil, []profile.Segment{cpu(5 * ms)}, 0},
		"a page": {
			[]event{leaves(2 * ms), comes(7 * ms)},
			[]sample{{int64(3 * ms), syscalls.Fault}},
			[]profile.Segment{cpu(10 * ms)},
			5 * ms,
		},
		"before and after": {
			[]event{leaves(-5 * ms), comes(-1 * ms), leaves(10 * ms), comes(20 * ms)}, nil, []profile.Segment{cpu(10 * ms)}, 0,
		},
		"contradictions": {
			[]event{comes(1 * ms), leaves(2 * ms), leaves(3 * ms), comes(4 * ms), comes(5 * ms)},
			nil,
			[]profile.Segment{cpu(2 * ms), block(2*ms, ""), cpu(6 * ms)},
			0,
		},
		"away at the end": {[]event{leaves(2 * ms)}, nil, []profile.Segment{cpu(2 * ms)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, held := segments(test.events, test.samples, 0, int64(10*ms))
			if diff := cmp.Diff(test.want, got); diff != "" || held != test.held {
				t.Errorf("held %v, want %v; %s", held, test.held, diff)
			}
		})
	}
}

func TestAgree(t *testing.T) {
	run := func(causes ...string) []profile.Segment {
		out := []profile.Segment{{Class: profile.CPU}}
		for _, c := range causes {
			out = append(out, profile.Segment{Class: profile.Block, Cause: c}, profile.Segment{Class: profile.CPU})
		}
		return out
	}
	runs := [][]profile.Segment{run("", "read"), run("poll", ""), run("poll", "read"), run("fsync", ""), run("")}
	agree(runs)
	want := [][]profile.Segment{run("poll", "read"), run("poll", "read"), run("poll", "read"), run("poll", "read"), run("")}
	if diff := cmp.Diff(want, runs); diff != "" {
		t.Error(diff)
	}
}

func TestObserveLost(t *testing.T) {
	at := time.Unix(100, 0)
	calls := []profile.Call{
		{Start: at, Run: 5 * ms, Cold: true}, {Start: at.Add(10 * ms), Run: 5 * ms}, {Start: at.Add(20 * ms), Run: 5 * ms},
	}
	for name, test := range map[string]struct {
		gaps []gap
		runs int
		err  string
	}{
		"none":    {nil, 2, ""},
		"one":     {[]gap{{int64(12 * ms), int64(13 * ms)}}, 1, ""},
		"between": {[]gap{{int64(15 * ms), int64(20 * ms)}}, 2, ""},
		"all":     {[]gap{{int64(14 * ms), int64(21 * ms)}}, 0, "all 2 traced calls were lost"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := &trace{at: at, gaps: test.gaps}
			o, err := tr.observe(calls)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("got %v, want %q", err, test.err)
				}
				return
			}
			if err != nil || len(o.Runs) != test.runs {
				t.Errorf("got %+v, %v, want %d runs", o, err, test.runs)
			}
		})
	}
	if _, err := (&trace{}).observe(nil); err == nil {
		t.Error("no calls were made sense of")
	}
}

func permitted(t *testing.T) {
	t.Helper()
	if err := (Tracer{}).Available(t.Context()); err != nil {
		t.Skip(err)
	}
}

// A program that sleeps is off the CPU as long as it says.
func TestSleeper(t *testing.T) {
	permitted(t)
	child := exec.Command("sleep", "0.05")
	before := count(t)
	begin := time.Now()
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	tr, err := Tracer{}.Start(t.Context(), profile.Target{PID: child.Process.Pid, TID: child.Process.Pid, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Abort()
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	o, err := tr.Stop(t.Context(), []profile.Call{{Start: begin, Run: time.Since(begin)}}, profile.Untraced{})
	if err != nil {
		t.Fatal(err)
	}
	var longest profile.Segment
	for _, s := range o.Runs[0] {
		if s.Class == profile.Block && s.Took > longest.Took {
			longest = s
		}
	}
	// It may have gone to sleep before anybody watched.
	if longest.Took > 0 && (longest.Took < 45*ms || longest.Cause != "clock_nanosleep" && longest.Cause != "") {
		t.Errorf("it slept for %v in %q: %v", longest.Took, longest.Cause, o.Runs[0])
	}
	if after := count(t); after > before {
		t.Errorf("%d perf events are open, %d before", after, before)
	}
	if _, err := (Tracer{}).Start(t.Context(), profile.Target{PID: child.Process.Pid, TID: child.Process.Pid}); err == nil {
		t.Error("a process that has ended is watched")
	}
}

func count(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if link, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.Contains(link, "perf_event") {
			n++
		}
	}
	return n
}

func TestStartAndAbort(t *testing.T) {
	permitted(t)
	before := count(t)
	tr, err := Tracer{}.Start(t.Context(), profile.Target{PID: os.Getpid(), TID: os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	if count(t) <= before {
		t.Error("nothing is open while it watches: the test looks for the wrong thing")
	}
	tr.Abort()
	tr.Abort()
	if after := count(t); after != before {
		t.Errorf("%d perf events are open, %d before", after, before)
	}
}
