package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// Kinds of frame; see doc.go. chiron_host/frames.py is the other end.
const (
	kindCall    = 1
	kindReply   = 2
	kindLog     = 3
	kindStop    = 4
	kindConfig  = 16
	kindReady   = 17
	kindSpawn   = 18
	kindSpawned = 19
	kindExited  = 20
	kindAddLane = 24
	kindFork    = 32
	kindForked  = 33
	kindEnded   = 34
)

// Sizes of the frames' fixed parts, the length field included.
const (
	lengthSize    = 4
	callHeader    = 24
	replyHeader   = 40
	logHeader     = 8
	controlHeader = 8
	// sharedSize stands in the place of a body in shared memory: its size.
	sharedSize = 8
)

// Flags of CALL and REPLY.
const (
	flagShared = 1 // the body is in shared memory
	flagReuse  = 2 // of CALL: the file of its slot may be written again
	flagNew    = 2 // of REPLY: the file is beside it
	flagRow    = 4 // of CALL: a row of functions is in the place of the meta
	flagHanded = 4 // of REPLY: the next function of the row has the result
)

// Bounds; the Python side has the same.
const (
	maxRequestID = 1 << 10
	maxMeta      = 1 << 20
	maxHeaders   = 1 << 20
	maxLog       = 2 << 20
	maxControl   = 16 << 20
	maxFunctions = math.MaxUint16
	maxBodyLimit = 1 << 30
	// maxSlots is how many files a lane keeps for replies: of the last ones of a
	// request, whose later functions may still be given them.
	maxSlots = 4
)

// MaxRow is the most functions of one Call, the first included.
const MaxRow = 64

type outcome uint8

const (
	outcomeOK        outcome = 0
	outcomeRaised    outcome = 1
	outcomeBadResult outcome = 2
	outcomeBadInput  outcome = 3
	outcomeRefused   outcome = 4
	outcomeStopped   outcome = 5
)

// Content says what a reply's body is.
type Content uint8

// The contents of a reply's body.
const (
	// NoContent: the handler returned None; the body is empty.
	NoContent Content = 0
	// Text is a str that the handler returned, as UTF-8.
	Text Content = 1
	// JSON is a value that the host encoded: the body is valid JSON.
	JSON Content = 2
	// Binary is bytes that the handler returned.
	Binary Content = 3
)

// Type returns the media type that fits the content.
func (c Content) Type() string {
	switch c {
	case Text:
		return "text/plain; charset=utf-8"
	case JSON:
		return "application/json"
	default:
		return "application/octet-stream"
	}
}

var errShort = errors.New("frame is shorter than its parts")

// callHead is what a CALL says besides its body.
type callHead struct {
	function  int
	requestID string
	meta      []byte // or the row
	deadline  int64  // CLOCK_MONOTONIC, ns; 0: none
	// slot of the file that a large reply goes to, from 1; 0: to one of its own.
	slot int
	// reuse: the slot's file may be written again; row: meta is one.
	reuse, row bool
}

// next is a function of a row after the first.
type next struct {
	function int
	timeout  time.Duration
}

// appendRow appends what stands in the place of a CALL's meta; bound is when the
// last function must have ended (CLOCK_MONOTONIC, ns; 0: never).
func appendRow(b []byte, bound int64, row []next) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(bound))
	for _, n := range row {
		b = binary.LittleEndian.AppendUint16(b, uint16(n.function))
		b = append(b, 0, 0, 0, 0, 0, 0)
		b = binary.LittleEndian.AppendUint64(b, uint64(n.timeout))
	}
	return b
}

// stopFrame keeps the functions of a row that have not begun from beginning. It is
// as long as a CALL's header.
func stopFrame() []byte {
	b := make([]byte, callHeader)
	binary.LittleEndian.PutUint32(b, callHeader-lengthSize)
	b[4] = kindStop
	return b
}

// appendCall appends a CALL frame without its body, of which only the size
// goes into the frame's length; or whole, where the body is in shared memory.
func appendCall(b []byte, c callHead, body int, shared bool) []byte {
	var flags byte
	if c.reuse {
		flags |= flagReuse
	}
	if c.row {
		flags |= flagRow
	}
	size := body
	if shared {
		flags |= flagShared
		size = sharedSize
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(callHeader-lengthSize+len(c.requestID)+len(c.meta)+size))
	b = append(b, kindCall, flags)
	b = binary.LittleEndian.AppendUint16(b, uint16(c.function))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(c.requestID)))
	b = binary.LittleEndian.AppendUint16(b, uint16(c.slot))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(c.meta)))
	b = binary.LittleEndian.AppendUint64(b, uint64(c.deadline))
	b = append(b, c.requestID...)
	b = append(b, c.meta...)
	if shared {
		b = binary.LittleEndian.AppendUint64(b, uint64(body))
	}
	return b
}

// head is what the first bytes of any frame say.
type head struct {
	size int // whole frame, bytes
	kind uint8
}

// parseHead reads the first logHeader bytes of a frame that a lane sent.
func parseHead(b []byte, maxBody int) (head, error) {
	if len(b) < logHeader {
		return head{}, errShort
	}
	h := head{size: int(binary.LittleEndian.Uint32(b)) + lengthSize, kind: b[4]}
	switch h.kind {
	case kindReply:
		if h.size < replyHeader {
			return h, fmt.Errorf("reply of %d bytes: %w", h.size, errShort)
		}
		if h.size > replyHeader+maxHeaders+max(maxBody, maxFailure) {
			return h, fmt.Errorf("reply of %d bytes is over the limit", h.size)
		}
	case kindLog:
		if h.size < logHeader {
			return h, fmt.Errorf("log of %d bytes: %w", h.size, errShort)
		}
		if h.size > logHeader+maxLog {
			return h, fmt.Errorf("log of %d bytes is over the limit", h.size)
		}
	default:
		return h, fmt.Errorf("frame of unknown kind %d", h.kind)
	}
	return h, nil
}

// maxFailure bounds the JSON that describes a failed call: it may be longer
// than a small body limit.
const maxFailure = 1 << 18

// replyHead is the fixed part of a REPLY.
type replyHead struct {
	outcome outcome
	content Content
	status  int
	flags   uint8
	headers int   // bytes
	body    int   // bytes in the frame
	start   int64 // CLOCK_MONOTONIC, ns
	run     int64 // ns
	cpu     int64 // ns
}

// parseReply reads a REPLY's fixed part; size is the whole frame's.
func parseReply(b []byte, size, maxBody int) (replyHead, error) {
	if len(b) < replyHeader || size < replyHeader {
		return replyHead{}, fmt.Errorf("reply of %d bytes: %w", size, errShort)
	}
	r := replyHead{
		outcome: outcome(b[5]),
		content: Content(b[6]),
		flags:   b[7],
		status:  int(binary.LittleEndian.Uint16(b[8:])),
		start:   int64(binary.LittleEndian.Uint64(b[16:])),
		run:     int64(binary.LittleEndian.Uint64(b[24:])),
		cpu:     int64(binary.LittleEndian.Uint64(b[32:])),
	}
	headers := binary.LittleEndian.Uint32(b[12:])
	if headers > maxHeaders || int(headers) > size-replyHeader {
		return r, fmt.Errorf("reply of %d bytes with %d bytes of headers: %w", size, headers, errShort)
	}
	r.headers = int(headers)
	r.body = size - replyHeader - r.headers
	limit := maxBody
	switch {
	case r.flags == flagHanded:
		limit = 0
	case r.flags != 0:
		limit = sharedSize
	case r.outcome != outcomeOK:
		limit = maxFailure
	}
	switch {
	case r.outcome > outcomeStopped:
		return r, fmt.Errorf("reply with unknown outcome %d", r.outcome)
	case r.flags == flagHanded && (r.outcome != outcomeOK || size != replyHeader):
		return r, fmt.Errorf("reply of %d bytes with outcome %d, to which another follows", size, r.outcome)
	case r.flags != 0 && r.flags != flagHanded && (r.flags&^(flagShared|flagNew) != 0 || r.flags&flagShared == 0 || r.outcome != outcomeOK || r.body != sharedSize):
		return r, fmt.Errorf("reply with flags %d, outcome %d and %d bytes for the size of its shared memory", r.flags, r.outcome, r.body)
	case r.content > Binary:
		return r, fmt.Errorf("reply with unknown content %d", r.content)
	case r.status != 0 && (r.status < 100 || r.status > 599):
		return r, fmt.Errorf("reply with status %d", r.status)
	case r.body > limit:
		return r, fmt.Errorf("reply with a body of %d bytes is over the limit of %d", r.body, limit)
	case r.run < 0 || r.cpu < 0:
		return r, errors.New("reply with a negative time")
	}
	return r, nil
}

// appendControl appends a frame of a control socket.
func appendControl(b []byte, kind uint8, payload []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(controlHeader-lengthSize+len(payload)))
	b = append(b, kind, 0, 0, 0)
	return append(b, payload...)
}

// parseControl reads a control frame's first controlHeader bytes and returns
// its kind and the size of its payload.
func parseControl(b []byte) (kind uint8, payload int, err error) {
	if len(b) < controlHeader {
		return 0, 0, errShort
	}
	size := int(binary.LittleEndian.Uint32(b)) + lengthSize
	if size < controlHeader || size > maxControl {
		return 0, 0, fmt.Errorf("control frame of %d bytes", size)
	}
	return b[4], size - controlHeader, nil
}

// spawnFrame asks the zygote for a worker; the descriptors travel beside it.
func spawnFrame(id uint32, lanes int, control bool, o WorkerOptions) []byte {
	var p []byte
	p = binary.LittleEndian.AppendUint32(p, id)
	p = binary.LittleEndian.AppendUint16(p, uint16(lanes))
	var flags uint16
	if control {
		flags = 1
	}
	p = binary.LittleEndian.AppendUint16(p, flags)
	p = binary.LittleEndian.AppendUint32(p, uint32(int32(o.CPU)))
	p = binary.LittleEndian.AppendUint32(p, uint32(o.SwitchInterval.Microseconds()))
	p = binary.LittleEndian.AppendUint64(p, uint64(o.DataLimit))
	return appendControl(nil, kindSpawn, p)
}

// workerEvent is the payload of SPAWNED (value: errno) and EXITED (value: the
// wait status).
type workerEvent struct {
	id    uint32
	pid   int
	value int32
}

func parseWorkerEvent(p []byte) (workerEvent, error) {
	if len(p) != 12 {
		return workerEvent{}, fmt.Errorf("worker event of %d bytes: want 12", len(p))
	}
	return workerEvent{
		id:    binary.LittleEndian.Uint32(p),
		pid:   int(int32(binary.LittleEndian.Uint32(p[4:]))),
		value: int32(binary.LittleEndian.Uint32(p[8:])),
	}, nil
}
