package wrap

import (
	"encoding/json"
	"sync"
	"time"
	"unicode/utf8"
)

// Span is one call of a task in the Chiron-Trace header of a response. Times
// are offsets from the request's arrival at the first wrap, in microseconds.
type Span struct {
	Task     string `json:"task"`
	Function string `json:"function"`
	Wrap     string `json:"wrap"`
	// Process is the process' index in the plan's wrap.
	Process int `json:"process"`
	// StartUS and EndUS bound the call as the agent sees it, waiting for a
	// process included; BeganUS is when the handler began, by its process' clock
	// (EndUS where no answer told), RunUS its own wall time from then on and CPUUS
	// its thread's CPU time.
	StartUS int64 `json:"start_us"`
	BeganUS int64 `json:"began_us"`
	EndUS   int64 `json:"end_us"`
	RunUS   int64 `json:"run_us"`
	CPUUS   int64 `json:"cpu_us"`
}

// timed puts the times of a call into its span: offsets from zero.
func (s Span) timed(zero, start, began, end time.Time, run, cpu time.Duration) Span {
	if began.IsZero() {
		began = end
	}
	s.StartUS, s.BeganUS, s.EndUS = start.Sub(zero).Microseconds(), began.Sub(zero).Microseconds(), end.Sub(zero).Microseconds()
	s.RunUS, s.CPUUS = run.Microseconds(), cpu.Microseconds()
	return s
}

// trace collects the spans of a request that asked for them.
type trace struct {
	mu    sync.Mutex
	spans []Span
}

func (t *trace) add(s Span) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.spans = append(t.spans, s)
}

// graft adds the spans of another wrap. Their clock began at the unknown
// instant when that wrap got the request; the middle of what the round trip
// took beyond the work is the best guess, off by at most half of it.
func (t *trace) graft(spans []Span, sent time.Duration, roundTrip, worked time.Duration) {
	offset := (sent + max(0, roundTrip-worked)/2).Microseconds()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range spans {
		s.StartUS += offset
		s.BeganUS += offset
		s.EndUS += offset
		t.spans = append(t.spans, s)
	}
}

// header is the trace as a header's value: JSON in ASCII.
func (t *trace) header() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.spans == nil {
		return "[]"
	}
	// Strings and integers always marshal.
	data, _ := json.Marshal(t.spans)
	return asciiJSON(data)
}

// asciiJSON escapes what is beyond ASCII: header values of other bytes do not
// survive every proxy. Beyond ASCII JSON has characters in strings only.
func asciiJSON(data []byte) string {
	plain := true
	for _, c := range data {
		if c >= utf8.RuneSelf {
			plain = false
			break
		}
	}
	if plain {
		return string(data)
	}
	out := make([]byte, 0, len(data)+16)
	for _, r := range string(data) {
		switch {
		case r < utf8.RuneSelf:
			out = append(out, byte(r))
		case r < 0x10000:
			out = appendEscape(out, r)
		default:
			r -= 0x10000
			out = appendEscape(out, 0xd800+r>>10)
			out = appendEscape(out, 0xdc00+r&0x3ff)
		}
	}
	return string(out)
}

func appendEscape(out []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	return append(out, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}
