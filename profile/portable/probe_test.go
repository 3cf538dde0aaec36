package portable

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/profile"

	"github.com/google/go-cmp/cmp"
)

// moment is so many milliseconds after the epoch.
func moment(when float64) time.Time { return epoch.Add(time.Duration(when * float64(ms))) }

// asked is an answer in milliseconds.
func asked(at, got, cpu float64) answer {
	a := answer{asked: moment(at), got: moment(got), cpu: time.Duration(cpu * float64(ms))}
	a.waited = a.got.Sub(a.asked)
	return a
}

// TestKnown: idle until 2 ms, computes with the lock to 10, without it to 12,
// waits to 14.
func TestKnown(t *testing.T) {
	answers := []answer{
		asked(0.5, 0.6, 0), asked(1.1, 1.2, 0), asked(1.7, 1.8, 0),
		asked(2.4, 10, 8), // it fell asleep at 1.9, and was kept waiting
		asked(10.5, 10.6, 8.6), asked(11.1, 11.2, 9.2), asked(11.7, 11.8, 9.8),
		asked(12.3, 12.4, 10), asked(12.9, 13, 10), asked(13.5, 13.6, 10),
	}
	k := newKnown(answers, moment(1.9))
	want := []span{{moment(0.6), moment(2.1)}, {moment(10), moment(13.6)}}
	if diff := cmp.Diff(want, k.free, cmp.AllowUnexported(span{})); diff != "" {
		t.Error(diff)
	}
	for when, want := range map[float64]float64{-1: 0, 1: 0, 2.1: 0.1, 6.05: 4.05, 10: 8, 10.3: 8.3, 12.1: 9.9, 13: 10, 20: 10} {
		if got := k.cpuAt(moment(when)); (got - time.Duration(want*float64(ms))).Abs() > time.Microsecond {
			t.Errorf("at %v ms: %v of CPU time, want %v ms", when, got, want)
		}
	}
	call := profile.Call{Start: moment(2), Run: 11 * ms}
	if !k.covers(call) || k.covers(profile.Call{Start: moment(2), Run: 20 * ms}) || k.covers(profile.Call{Run: ms}) {
		t.Error("covers is wrong")
	}
	segments := []profile.Segment{{Class: profile.CPU, Took: 10 * ms}, {Class: profile.Block, Took: 2 * ms, Cause: "futex"}}
	split := k.split(segments, moment(2.1))
	wantSplit := []profile.Segment{
		{Class: profile.CPU, Took: 7900 * time.Microsecond},
		{Class: profile.Native, Took: 2100 * time.Microsecond},
		{Class: profile.Block, Took: 2 * ms, Cause: "futex"},
	}
	if diff := cmp.Diff(wantSplit, split); diff != "" {
		t.Error(diff)
	}
}

// TestKnownOfAFineMix: who takes and leaves the lock several times a pause has it
// as often as the probe finds it taken.
func TestKnownOfAFineMix(t *testing.T) {
	answers := []answer{asked(0.5, 0.56, 0)}
	random := rand.New(rand.NewPCG(5, 6))
	at := 0.56
	for range 2000 {
		wait := 0.06
		if random.Float64() < 0.7 { // held for another 0.1 ms at most
			wait += 0.05 + 0.1*random.Float64()
		}
		answers = append(answers, asked(at+0.5, at+0.5+wait, at))
		at += 0.5 + wait
	}
	k := newKnown(answers, moment(0.6))
	var free time.Duration
	for _, s := range k.free {
		free += s.to.Sub(s.from)
	}
	if share := float64(free) / float64(moment(at).Sub(moment(0.56))); share < 0.2 || share > 0.4 {
		t.Errorf("the lock was free for %.2f of the time, want 0.3", share)
	}
}

// A lock that the interpreter took from its holder was not free.
func TestKnownOfAForcedSwitch(t *testing.T) {
	answers := []answer{asked(0.5, 0.6, 0), asked(1.1, 101.1, 100), asked(101.6, 201.6, 200), asked(202.1, 202.2, 200)}
	k := newKnown(answers, moment(1))
	// From where it was taken to the next question it is not known to be free.
	if diff := cmp.Diff([]span{{moment(0.6), moment(0.85)}}, k.free, cmp.AllowUnexported(span{})); diff != "" {
		t.Error(diff)
	}
}

// A probe that waits for a CPU is late for another reason than the lock.
func TestUnqueue(t *testing.T) {
	answers := []answer{asked(1, 1.1, 0), asked(1.6, 5.6, 4)}
	samples := []sample{{at: moment(0)}, {at: moment(1.5)}, {at: moment(3)}, {at: moment(6), probeQueued: 3900 * time.Microsecond}}
	unqueue(answers, samples)
	if answers[1].waited != 100*time.Microsecond || answers[0].waited != 100*time.Microsecond {
		t.Errorf("it waited %v and %v for the lock", answers[0].waited, answers[1].waited)
	}
}

func TestReadAnswers(t *testing.T) {
	file := func(words ...int64) (text []byte) {
		for _, w := range words {
			text = binary.NativeEndian.AppendUint64(text, uint64(w))
		}
		return text
	}
	at := func(ns int64) time.Time { return epoch.Add(time.Duration(ns)) }
	got, err := readAnswers(file(6, 1e6, 2e6, 7, 3e6, 4e6, 9, 0, 0), at)
	if err != nil || len(got) != 2 || got[1].cpu != 9 || got[0].waited != 500*time.Microsecond || !got[1].got.Equal(moment(4)) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range [][]byte{nil, file(3)[:4], file(3, 1, 2), file(-3, 1, 2)} {
		if _, err := readAnswers(bad, at); err == nil {
			t.Errorf("%v is read", bad)
		}
	}
}

// A probe that does not start costs the native periods and says so.
func TestProbeThatFails(t *testing.T) {
	target := profile.Target{PID: os.Getpid(), TID: os.Getpid(), Probe: func(context.Context, string) (int, error) { return 0, errors.New("no threads left") }}
	t.Setenv("TMPDIR", t.TempDir())
	watch, err := Tracer{}.Start(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	time.Sleep(5 * ms)
	o, err := watch.Stop(t.Context(), []profile.Call{{Start: start, Run: 4 * ms}}, profile.Untraced{})
	if err != nil || len(o.Notes) == 0 || o.Notes[0] != "native: code that computes without the interpreter lock counts as cpu, for its probe failed: no threads left" {
		t.Errorf("%+v, %v", o, err)
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "*")); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
}
