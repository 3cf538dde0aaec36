package orchestrator

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"
)

// trace collects the spans that agents answer with (wrap.Span), their times moved
// to the clock of the request. What else a span holds is passed on as it is.
type trace struct {
	mu    sync.Mutex
	spans []map[string]json.RawMessage
}

// graft adds the spans of a task's answer. Their clock began at the unknown
// instant when the wrap got the call; the middle of what the round trip took
// beyond the work is the best guess, as between wraps.
func (t *trace) graft(h http.Header, sent, roundTrip time.Duration) {
	var spans []map[string]json.RawMessage
	if err := json.Unmarshal([]byte(h.Get(headerTrace)), &spans); err != nil {
		return // a trace is a help, its loss no failure
	}
	worked, err := time.ParseDuration(h.Get(headerDuration) + "s")
	if err != nil {
		worked = roundTrip
	}
	offset := (sent + max(0, roundTrip-worked)/2).Microseconds()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range spans {
		for _, key := range []string{"start_us", "began_us", "end_us"} {
			var at int64
			if json.Unmarshal(s[key], &at) == nil {
				s[key], _ = json.Marshal(at + offset) // an integer always marshals
			}
		}
		t.spans = append(t.spans, s)
	}
}

// header is the trace as a header's value. Agents escape what is beyond ASCII,
// and strings are passed on as they came.
func (t *trace) header() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	b.WriteByte('[')
	for i, s := range t.spans {
		if i > 0 {
			b.WriteByte(',')
		}
		text, _ := json.Marshal(s) // raw values that came out of a parser
		b.Write(text)
	}
	b.WriteByte(']')
	return b.String()
}
