package ebpf

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"
)

// kind of an event: as enum kind in probes.c.
type kind uint16

const (
	left     kind = 1 + iota // the CPU
	woken                    // it may run again
	came                     // onto a CPU
	released                 // its interpreter's lock
	takes                    // it wants the lock: from here on it has it, or waits for it
	called                   // a system call that names something has ended
	forked                   // a child began
)

// moment is CLOCK_MONOTONIC in nanoseconds: the clock of the kernel's events,
// of Go's and of Python's perf_counter.
type moment int64

// event is one thing that the traced thread did.
type event struct {
	at   moment
	kind kind
	// waits: it left the CPU until something wakes it; else it was put off and
	// may run on.
	waits bool
	// call is the system call in which it left; -1: in none.
	call int32
}

// namedCall is a system call that named files or an address, of the process or
// of a child of it; or the child's beginning.
type namedCall struct {
	at        moment
	kind      kind
	process   uint32
	child     uint32 // that forked began
	call      int32
	result    int64
	arguments [6]uint64
	how       uint64 // openat2's flags
	names     [2][]byte
}

// Sizes of the records, in bytes: as struct event and struct named in probes.c.
const (
	eventSize  = 24
	nameSize   = 512
	namedSize  = eventSize + 8 + 6*8 + 8 + 2*4 + 2*nameSize
	argumentAt = eventSize + 8
	howAt      = argumentAt + 6*8
	lengthAt   = howAt + 8
	namesAt    = lengthAt + 2*4
)

// seen is all that the kernel told.
type seen struct {
	events []event // in order of time, once sorted
	named  []namedCall
	// overflow says that there were more than maxEvents; since is when the
	// first of those came that were not kept.
	overflow bool
	since    moment
}

// Bounds of what is kept of one trace.
const (
	maxEvents = 4 << 20 // 100 MB
	maxNamed  = 1 << 16
)

// add decodes one record of the ring buffer.
func (s *seen) add(raw []byte) error {
	if len(raw) != eventSize && len(raw) != namedSize {
		return fmt.Errorf("ebpf: a record of %d bytes, which is neither %d nor %d: the object is not that of this program", len(raw), eventSize, namedSize)
	}
	order := binary.LittleEndian
	e := event{
		at:    moment(order.Uint64(raw)),
		kind:  kind(order.Uint16(raw[12:])),
		waits: order.Uint16(raw[14:]) != 0,
		call:  int32(order.Uint32(raw[16:])),
	}
	named := e.kind == called || e.kind == forked
	if named && len(s.named) >= maxNamed || !named && len(s.events) >= maxEvents {
		if !s.overflow {
			s.overflow, s.since = true, e.at
		}
		return nil
	}
	if !named {
		s.events = append(s.events, e)
		return nil
	}
	c := namedCall{
		at: e.at, kind: e.kind, call: e.call,
		process: order.Uint32(raw[8:]), child: order.Uint32(raw[20:]),
	}
	if len(raw) == namedSize {
		c.result = int64(order.Uint64(raw[eventSize:]))
		for i := range c.arguments {
			c.arguments[i] = order.Uint64(raw[argumentAt+8*i:])
		}
		c.how = order.Uint64(raw[howAt:])
		for i := range c.names {
			length := min(order.Uint32(raw[lengthAt+4*i:]), nameSize)
			c.names[i] = slices.Clone(raw[namesAt+nameSize*i:][:length])
		}
	}
	s.named = append(s.named, c)
	return nil
}

// sort puts in order what several CPUs wrote.
func (s *seen) sort() {
	slices.SortStableFunc(s.events, func(a, b event) int { return compare(a.at, b.at) })
	slices.SortStableFunc(s.named, func(a, b namedCall) int { return compare(a.at, b.at) })
}

func compare(a, b moment) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// clock turns Go's times into moments.
type clock struct {
	at   time.Time
	then moment
}

func (c clock) moment(t time.Time) moment { return c.then + moment(t.Sub(c.at)) }
