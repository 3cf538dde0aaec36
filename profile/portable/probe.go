package portable

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/profile"

	"golang.org/x/sys/unix"
)

const (
	// pause that the probe makes between two questions: PAUSE of
	// host/python/chiron_host/probe.py.
	pause = 500 * time.Microsecond
	// forced is how long the lock may be held until the interpreter takes it
	// from its holder: INTERVAL there, less the timers' rounding.
	forced = 95 * time.Millisecond
	// late is how much longer than usual the probe has to wait for the lock for
	// it to have been held meanwhile; under it, the kernel may just have woken
	// the probe late. Usual are 50 µs, the timer slack of prctl(2), and a wake-up:
	// of 2,000 pauses of 0.5 ms by time.sleep half ended 59 µs late or less, nine
	// in ten 67 µs, on a machine of two CPUs with other work.
	late = 30 * time.Microsecond
	// maxQuestions bounds what the probe writes: those of 65 s, since one takes
	// pause at least; the traced runs have three tenths of a budget of 10 s.
	maxQuestions = 1 << 17
	// word is the length of a number in the probe's file, bytes, numbers how many
	// there are of a question.
	word, numbers = 8, 3
	// idle is how long the probe runs before the first call, to tell how late it
	// is when nobody has the lock.
	idle = 20 * pause
)

// probe is the thread in the worker that notices when the lock is free.
type probe struct {
	file string
	tid  int
	// base is one moment on two clocks: Go's, and the probe's.
	base      time.Time
	monotonic int64 // ns
}

// startProbe has the probe started; nil where the host has none.
func startProbe(ctx context.Context, target profile.Target) (*probe, error) {
	if target.Probe == nil {
		return nil, nil
	}
	file, err := os.CreateTemp("", "chiron-probe-")
	if err != nil {
		return nil, err
	}
	p := &probe{file: file.Name()}
	// Only pages that are written to take memory.
	if err = file.Truncate(word * (1 + numbers*maxQuestions)); err == nil {
		err = file.Close()
	} else {
		_ = file.Close()
	}
	if err == nil {
		p.tid, err = target.Probe(ctx, p.file)
	}
	if err != nil {
		p.remove()
		return nil, err
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		p.remove()
		return nil, err
	}
	p.base, p.monotonic = time.Now(), now.Nano()
	select {
	case <-time.After(idle):
	case <-ctx.Done():
		p.remove()
		return nil, context.Cause(ctx)
	}
	return p, nil
}

func (p *probe) remove() { _ = os.Remove(p.file) } // a temporary file

// answers reads what the probe has written so far.
func (p *probe) answers() ([]answer, error) {
	text, err := os.ReadFile(p.file)
	if err != nil {
		return nil, err
	}
	return readAnswers(text, func(ns int64) time.Time { return p.base.Add(time.Duration(ns - p.monotonic)) })
}

// answer is one question of the probe: it slept, and then had the lock.
type answer struct {
	asked, got time.Time
	// waited between the two, less what it waited for a CPU.
	waited time.Duration
	// cpu is what the handler's thread had used by then.
	cpu time.Duration
}

func readAnswers(text []byte, at func(ns int64) time.Time) ([]answer, error) {
	number := func(i int) int64 { return int64(binary.NativeEndian.Uint64(text[i*word:])) }
	if len(text) < word || number(0) < 0 || number(0) > int64(len(text)/word-1) {
		return nil, fmt.Errorf("the probe's file of %d bytes is not whole", len(text))
	}
	answers := make([]answer, number(0)/numbers)
	for i := range answers {
		n := 1 + numbers*i
		a := answer{asked: at(number(n) + int64(pause)), got: at(number(n + 1)), cpu: time.Duration(number(n + 2))}
		a.waited = max(0, a.got.Sub(a.asked))
		answers[i] = a
	}
	return answers, nil
}

// unqueue takes off the answers' waits what the probe's thread waited for a CPU,
// as the samples saw it: that says nothing of the lock.
func unqueue(answers []answer, samples []sample) {
	next := 0
	for i := range answers {
		a := &answers[i]
		for next < len(samples) && samples[next].at.Before(a.asked) {
			next++
		}
		// The kernel counts a wait when it ends: by the first sample after.
		end := next
		for end < len(samples) && samples[end].at.Before(a.got) {
			end++
		}
		if next == 0 || end == len(samples) {
			continue
		}
		queued := samples[end].probeQueued - samples[next-1].probeQueued
		a.waited = max(0, a.waited-max(0, queued))
	}
}

// span is a stretch of time.
type span struct{ from, to time.Time }

// known is what the probe found out.
type known struct {
	// free is when the lock was free, or held for less than the probe can see;
	// in order.
	free []span
	// curve is the CPU time of the handler's thread, in order of time.
	curve []point
}

type point struct {
	at  time.Time
	cpu time.Duration
}

// newKnown makes sense of the answers, of which there are some. first is when
// the first call began: before it nobody else wanted the lock.
//
// At an answer the lock was free, for the probe had it. If the next answer came
// at once, it was free all along, as far as the probe can tell. If that came
// late, somebody held the lock when it was asked for, and until then. What was
// during the pause is told by how late it came: one who held it for longer than a
// pause took it once, who knows when, so half of the pause counts as held; one
// who held it for less takes and leaves it many times a pause, and the moment of
// the question is a sample of it: the whole pause counts, as it counts as free
// where the answer comes at once. A short wait between two answers that came at
// once is the kernel's doing. Who holds the lock is on the CPU, or waits for one.
func newKnown(answers []answer, first time.Time) *known {
	usual := usualWait(answers, first)
	held := make([]bool, len(answers))
	for i, a := range answers {
		held[i] = a.waited > usual+late
	}
	short := func(i int) bool { return answers[i].waited-usual < pause }
	alone := func(i int) bool { return !held[i-1] && (i+1 == len(held) || !held[i+1]) }
	k := &known{curve: []point{{answers[0].got, answers[0].cpu}}}
	for i := 1; i < len(answers); i++ {
		from, to := answers[i-1], answers[i]
		end := to.got
		switch {
		case !held[i], short(i) && alone(i):
		case short(i):
			end = from.got
		default:
			end = from.got.Add(max(0, to.asked.Sub(from.got)) / 2)
			k.curve = append(k.curve, point{end, max(from.cpu, to.cpu-to.got.Sub(end))})
		}
		k.curve = append(k.curve, point{to.got, to.cpu})
		if from.waited >= forced || !end.After(from.got) { // it was given a lock that was not free
			continue
		}
		if n := len(k.free); n > 0 && !from.got.After(k.free[n-1].to) {
			k.free[n-1].to = end
		} else {
			k.free = append(k.free, span{from.got, end})
		}
	}
	return k
}

// usualWait is how late the probe is when nobody has the lock, which is the
// kernel's doing: the median before the first call. It is 0 where there are no
// such answers.
func usualWait(answers []answer, first time.Time) time.Duration {
	var waits []time.Duration
	for _, a := range answers {
		if a.got.Before(first) {
			waits = append(waits, a.waited)
		}
	}
	if len(waits) == 0 {
		return 0
	}
	slices.Sort(waits)
	return waits[len(waits)/2]
}

// covers says whether the probe was there for a whole call. Without a probe
// every call is as good as another.
func (k *known) covers(call profile.Call) bool {
	if k == nil {
		return true
	}
	// The last answer may be one that waits for the end of the last call.
	end := k.curve[len(k.curve)-1].at.Add(pause + late)
	return !call.Start.Before(k.curve[0].at) && !call.Start.Add(call.Run).After(end)
}

// cpuAt is the CPU time of the handler's thread at a moment: on a line between
// the points.
func (k *known) cpuAt(at time.Time) time.Duration {
	i, _ := slices.BinarySearchFunc(k.curve, at, func(p point, at time.Time) int { return p.at.Compare(at) })
	switch i {
	case 0:
		return k.curve[0].cpu
	case len(k.curve):
		return k.curve[i-1].cpu
	}
	a, b := k.curve[i-1], k.curve[i]
	part := float64(at.Sub(a.at)) / float64(max(1, b.at.Sub(a.at)))
	return a.cpu + time.Duration(part*float64(b.cpu-a.cpu))
}

// split makes native of what a call's segments spent on the CPU while the lock
// was free; nothing without a probe. start is when the first segment began.
func (k *known) split(segments []profile.Segment, start time.Time) []profile.Segment {
	if k == nil {
		return segments
	}
	var out []profile.Segment
	add := func(class profile.Class, took time.Duration) {
		switch n := len(out); {
		case took <= 0:
		case n > 0 && out[n-1].Class == class:
			out[n-1].Took += took
		default:
			out = append(out, profile.Segment{Class: class, Took: took})
		}
	}
	at := start
	for _, s := range segments {
		end := at.Add(s.Took)
		if s.Class != profile.CPU {
			out = append(out, s)
			at = end
			continue
		}
		for _, free := range k.free {
			from, to := latest(free.from, at), earliest(free.to, end)
			if !from.Before(to) {
				continue
			}
			add(profile.CPU, from.Sub(at))
			add(profile.Native, to.Sub(from))
			at = to
		}
		add(profile.CPU, end.Sub(at))
		at = end
	}
	return out
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
