package simulate

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Trace is when requests came, as a file says it.
type Trace struct {
	intervals []interval
	requests  int
	counted   bool // the file has counts
	length    time.Duration
}

// interval of a trace: its requests come between begin and end.
type interval struct {
	begin, end time.Duration
	count      int
}

// Bounds of a trace.
const (
	maxTraceLines = 10_000_000
	maxTraceLine  = 256 // bytes
)

// ReadTrace reads a trace in CSV. A line has the time of one request, or the time
// at which an interval begins and the number of requests in it; the interval ends
// where the next one begins, and the last is as long as the one before. Times are
// seconds ("0.25"), or all are of RFC 3339; they do not go back. A first line that
// is no time holds titles; empty lines, and those that begin with #, are skipped.
func ReadTrace(r io.Reader) (*Trace, error) {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, maxTraceLine), maxTraceLine)
	t := &Trace{}
	read := traceReader{trace: t}
	for n := 1; in.Scan(); n++ {
		if n > maxTraceLines {
			return nil, fmt.Errorf("trace: it has more than %d lines: cut it", maxTraceLines)
		}
		line := strings.TrimSpace(strings.TrimPrefix(in.Text(), "\ufeff"))
		if line == "" || line[0] == '#' {
			continue
		}
		if err := read.line(line); err != nil {
			return nil, fmt.Errorf("trace: line %d: %w", n, err)
		}
	}
	if err := in.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fmt.Errorf("trace: a line has more than %d bytes: it holds a time, or a time and a count", maxTraceLine)
	} else if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	return t, t.finish()
}

// traceReader reads line by line.
type traceReader struct {
	trace   *Trace
	lines   int
	columns int
	clock   bool      // times are of RFC 3339
	first   time.Time // of those
}

func (r *traceReader) line(line string) error {
	fields := strings.Split(line, ",")
	if len(fields) > 2 {
		return fmt.Errorf("%d columns: write a time, or a time and a count", len(fields))
	}
	at, err := r.time(strings.TrimSpace(fields[0]))
	r.lines++
	if err != nil {
		if r.lines == 1 && isTitle(fields[0]) {
			return nil
		}
		return err
	}
	if r.columns == 0 {
		r.columns = len(fields)
	}
	if len(fields) != r.columns {
		return fmt.Errorf("%d columns, and %d before: write the count in every line, or in none", len(fields), r.columns)
	}
	t := r.trace
	count := 1
	if r.columns == 2 {
		t.counted = true
		text := strings.TrimSpace(fields[1])
		if count, err = strconv.Atoi(text); err != nil || count < 0 || count > MaxRequests {
			return fmt.Errorf("a count of %q: write a whole number from 0 to %d", text, MaxRequests)
		}
	}
	if last := len(t.intervals) - 1; last >= 0 {
		before := &t.intervals[last]
		switch {
		case at < before.begin:
			return fmt.Errorf("%s is before the line above: sort the lines", strings.TrimSpace(fields[0]))
		case t.counted && at == before.begin:
			return fmt.Errorf("the interval at %s is there twice", strings.TrimSpace(fields[0]))
		}
		before.end = at
	}
	t.intervals = append(t.intervals, interval{begin: at, end: at, count: count})
	if t.requests += count; t.requests > MaxRequests {
		return fmt.Errorf("more than %d requests: cut the trace", MaxRequests)
	}
	return nil
}

// isTitle says whether a first field is a word and no bad time.
func isTitle(field string) bool {
	field = strings.TrimSpace(field)
	return field != "" && !strings.ContainsAny(field[:1], "+-.0123456789")
}

func (r *traceReader) time(text string) (time.Duration, error) {
	seconds, err := strconv.ParseFloat(text, 64)
	if err == nil && !r.clock {
		if !(seconds >= 0 && seconds <= horizon.Seconds()) {
			return 0, fmt.Errorf("a time of %q: write seconds, from 0 to %.0f", text, horizon.Seconds())
		}
		return time.Duration(math.Round(seconds * 1e9)), nil
	}
	clock, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || len(r.trace.intervals) > 0 && !r.clock {
		return 0, fmt.Errorf("%q is no time: write seconds such as 0.25, or RFC 3339 in every line", text)
	}
	if !r.clock {
		r.clock, r.first = true, clock
	}
	at := clock.Sub(r.first)
	if at > horizon {
		return 0, fmt.Errorf("%q is more than %.0f s after the first line", text, horizon.Seconds())
	}
	return at, nil
}

// finish counts the times from the first line on.
func (t *Trace) finish() error {
	n := len(t.intervals)
	switch {
	case t.requests == 0:
		return errors.New("trace: it has no request")
	case t.counted && n == 1:
		return errors.New("trace: one interval has no end: add a line with the time at which it ends, and the count 0")
	}
	if t.counted {
		last := &t.intervals[n-1]
		last.end = last.begin + last.begin - t.intervals[n-2].begin
	} else {
		for i := range t.intervals { // each is a moment
			t.intervals[i].end = t.intervals[i].begin
		}
	}
	begin := t.intervals[0].begin
	for i := range t.intervals {
		t.intervals[i].begin -= begin
		t.intervals[i].end -= begin
	}
	t.length = t.intervals[n-1].end
	return nil
}

// Requests is their number.
func (t *Trace) Requests() int { return t.requests }

// Rate is the mean, requests a second; 0 where all come at once.
func (t *Trace) Rate() float64 {
	if t.length == 0 {
		return 0
	}
	return float64(t.requests) / t.length.Seconds()
}

// Arrivals plays the trace. With a rate, requests a second, time runs faster or
// slower, so that it is the mean; 0: as it was. Requests of an interval come at
// random moments of it.
func (t *Trace) Arrivals(perSecond float64, seed uint64) Arrivals {
	p := &playing{trace: t, scale: 1, dice: rand.New(rand.NewPCG(seed, traceStream))}
	if rate := t.Rate(); perSecond > 0 && rate > 0 {
		p.scale = rate / perSecond
	}
	return p
}

type playing struct {
	trace *Trace
	scale float64
	dice  *rand.Rand
	next  int             // interval
	times []time.Duration // of the one before next, what is left
}

// Next implements Arrivals.
func (p *playing) Next() (time.Duration, bool) {
	for len(p.times) == 0 {
		if p.next == len(p.trace.intervals) {
			return 0, false
		}
		i := p.trace.intervals[p.next]
		p.next++
		p.times = p.times[:0]
		for range i.count {
			at := i.begin
			if length := int64(i.end - i.begin); length > 0 {
				at += time.Duration(p.dice.Int64N(length))
			}
			p.times = append(p.times, at)
		}
		slices.Sort(p.times)
	}
	at := p.times[0]
	p.times = p.times[1:]
	return atMost(float64(at) * p.scale)
}
