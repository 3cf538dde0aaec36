package workflow

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Scale says how many requests a project's deployment takes at once. 0 means the
// default everywhere; instances go together.
type Scale struct {
	// Concurrency is the most requests that a wrap works on at once.
	Concurrency int
	// Least and Most instances of the plan, as many as requests need; Most 0: one,
	// at all times.
	Least, Most int
	// Idle is how long an instance that is not needed stays.
	Idle time.Duration
}

const (
	// MaxInstances of one deployment, and MaxConcurrency of a wrap: more than any
	// machine has room for.
	MaxInstances   = 1000
	MaxConcurrency = 10_000
)

// ParseInstances reads how many instances there may be: "2", or "0..4".
func ParseInstances(text string) (least, most int, err error) {
	from, to, isRange := strings.Cut(text, "..")
	if !isRange {
		to = from
	}
	least, err1 := strconv.Atoi(from)
	most, err2 := strconv.Atoi(to)
	switch {
	case err1 != nil || err2 != nil || least < 0 || most > MaxInstances:
		return 0, 0, fmt.Errorf("write a number, or MIN..MAX such as 0..4; at most %d", MaxInstances)
	case most < 1 || most < least:
		return 0, 0, errors.New("MAX must be at least 1, and not below MIN")
	}
	return least, most, nil
}

// scale reads {concurrency: NUMBER, instances: MIN..MAX, idle: DURATION}.
func (l *loader) scale(n *node) Scale {
	var s Scale
	if n.kind != objectNode || len(n.fields) == 0 {
		l.add(n.pos, "write: scale: {concurrency: 16, instances: 0..4, idle: 30s}", "%q must be a mapping, not %s", "scale", n.described())
		return s
	}
	for _, f := range n.fields {
		switch f.name {
		case "concurrency":
			s.Concurrency = l.whole(f.value, "concurrency", "write a number such as 16")
			if s.Concurrency > MaxConcurrency {
				l.add(f.value.pos, "", "concurrency is at most %d", MaxConcurrency)
			}
		case "instances":
			var err error
			if s.Least, s.Most, err = ParseInstances(f.value.written); err != nil || f.value.kind != stringNode && f.value.kind != numberNode {
				l.add(f.value.pos, "write: instances: 0..4", "instances of %s: %v", f.value.described(), err)
			}
		case "idle":
			s.Idle = l.duration(f.value, "idle")
		default:
			l.unknownField(f, `"scale"`, []string{"concurrency", "instances", "idle"})
		}
	}
	return s
}
