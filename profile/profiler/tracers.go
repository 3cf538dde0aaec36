package profiler

import (
	"context"
	"fmt"
	"strings"

	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/profile/ebpf"
	"github.com/chiron-faas/chiron/profile/perf"
	"github.com/chiron-faas/chiron/profile/portable"
	"github.com/chiron-faas/chiron/profile/strace"
)

// Availability says whether this machine lets a tracer work.
type Availability struct {
	Name string
	// Err is nil where it does; else one line with what is missing and what to
	// do.
	Err error
	// Sees says in a few words what a profile made with it holds.
	Sees string
}

// tracers are all that there are, the best first.
func tracers() []profile.Tracer {
	return []profile.Tracer{ebpf.Tracer{}, perf.Tracer{}, strace.Tracer{}, portable.Tracer{}}
}

// sees describes a tracer for people who choose one.
func sees(name string) string {
	switch name {
	case ebpf.Name:
		return "every wait with its system call, work without the interpreter lock, every file written"
	case perf.Name:
		return "every wait to the microsecond, the long ones with their system call, files written in the working folder"
	case strace.Name:
		return "every wait with its system call, every file written"
	case portable.Name:
		return "waits and work without the interpreter lock over half a millisecond, files written in the working folder"
	}
	return ""
}

// Tracers asks every tracer whether it can work here, the best first.
func Tracers(ctx context.Context) []Availability {
	var all []Availability
	for _, t := range tracers() {
		all = append(all, Availability{Name: t.Name(), Err: t.Available(ctx), Sees: sees(t.Name())})
	}
	return all
}

// choose returns the tracer of a name; or, of all, the best that works here and
// those behind it, unasked, and why better ones do not work.
func choose(ctx context.Context, all []profile.Tracer, name string) (usable []profile.Tracer, notes []string, err error) {
	var names []string
	for _, t := range all {
		names = append(names, t.Name())
		if name != "" && name != t.Name() {
			continue
		}
		var err error
		if len(usable) == 0 {
			err = t.Available(ctx)
		}
		switch {
		case err == nil:
			usable = append(usable, t)
		case name != "":
			return nil, nil, fmt.Errorf("profile: tracer %q does not work here: %w", name, err)
		default:
			notes = append(notes, fmt.Sprintf("not traced with %s: %v", t.Name(), err))
		}
	}
	switch {
	case len(usable) > 0:
		return usable, notes, nil
	case name != "":
		return nil, nil, fmt.Errorf("profile: there is no tracer %q: choose one of %s", name, strings.Join(names, ", "))
	}
	return nil, nil, fmt.Errorf("profile: no tracer works here: %s", strings.Join(notes, "; "))
}
