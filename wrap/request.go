package wrap

import (
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"time"
)

// HeaderTrace with the value 1 asks a wrap for the spans of a request; in the
// response it has them, a JSON array of Span.
const HeaderTrace = "Chiron-Trace"

// Headers that the agent reads and writes. In Go's canonical form, so that maps
// can be used directly.
const (
	headerCallID   = "X-Call-Id"
	headerDuration = "X-Duration-Seconds"
	headerTimeout  = "X-Timeout"
	// headerLengths of a stage response: the lengths of the branches' outputs,
	// which the body holds one after the other.
	headerLengths = "Chiron-Lengths"
	// headerExecution of a stage request: the length of the workflow.Execution
	// that stands before the input.
	headerExecution = "Chiron-Execution"
	// headerShared of a stage request and its response: the length of a body in
	// shared memory, whose descriptor is beside the message's first byte. The
	// message itself has none then.
	headerShared = "Chiron-Shared"
	// headerTakesShared of a stage request: its answer may be in shared memory.
	headerTakesShared = "Chiron-Takes-Shared"
)

var (
	jsonType  = []string{"application/json"}
	closeType = []string{"close"} // of Connection
	textType  = []string{"text/plain; charset=utf-8"}
	octetType = []string{"application/octet-stream"}
)

// maxCallID bounds a caller's request id, bytes: it goes to every log line.
const maxCallID = 128

// request is one HTTP request on its way through this wrap.
type request struct {
	id    string
	start time.Time
	// deadline of the whole request; zero: none.
	deadline time.Time
	// trace is nil where the caller did not ask for one.
	trace *trace
	// memory are its values in shared memory, held until the request is over:
	// who makes a request leaves it.
	memory holdings
	// body, where it has been read before the request's turn.
	body *bodyBuffer
	// contentType of the last task's reply, and that reply's body: where the
	// workflow's result is that body, it is also of that type.
	lastBody []byte
	lastType string
}

func newRequest(h http.Header, timeout time.Duration) (*request, error) {
	r := &request{start: time.Now(), id: callID(h), memory: holdings{users: 1}}
	if v := h[headerTimeout]; len(v) > 0 {
		d, err := time.ParseDuration(v[0])
		if err != nil || d <= 0 {
			return r, errBadTimeout
		}
		if timeout <= 0 || d < timeout {
			timeout = d
		}
	}
	if timeout > 0 {
		r.deadline = r.start.Add(timeout)
	}
	if v := h[HeaderTrace]; len(v) > 0 && v[0] == "1" {
		r.trace = &trace{}
	}
	return r, nil
}

// callID takes the caller's id where it is one that can stand in a header and a
// log line, and makes one otherwise.
func callID(h http.Header) string {
	if v := h[headerCallID]; len(v) > 0 && validCallID(v[0]) {
		return v[0]
	}
	return newCallID()
}

func validCallID(s string) bool {
	if s == "" || len(s) > maxCallID {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// newCallID makes a UUID of version 4 (RFC 9562): OpenFaaS' callers expect its
// form. It names a request and guards nothing, so it need not be unguessable.
func newCallID() string {
	var raw [16]byte
	for i, v := range [2]uint64{rand.Uint64(), rand.Uint64()} {
		for j := range 8 {
			raw[i*8+j] = byte(v >> (8 * j))
		}
	}
	raw[6] = raw[6]&0x0f | 0x40
	raw[8] = raw[8]&0x3f | 0x80
	var s [36]byte
	hex.Encode(s[0:8], raw[0:4])
	hex.Encode(s[9:13], raw[4:6])
	hex.Encode(s[14:18], raw[6:8])
	hex.Encode(s[19:23], raw[8:10])
	hex.Encode(s[24:36], raw[10:16])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}
