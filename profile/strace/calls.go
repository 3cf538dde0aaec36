package strace

import (
	"fmt"
	"strings"
	"time"
)

// run is what the serving thread did in one call of the handler.
type run struct {
	start, end time.Duration // of the handler, from the epoch
	calls      []record      // in between, in order
	// clocks is how long the host's two readings of the CPU clock took; empty
	// where the trace has none.
	clocks []time.Duration
}

// cut finds the calls of the handler among the records of the serving thread.
// A call is what lies between a receive on the lane that brought something and
// the next receive on the lane, if something was sent on it meanwhile (a reply;
// before it perhaps what the handler printed). Inside of that the handler runs
// between the first and the last reading of the thread's CPU clock: the host's
// own, whatever readings of it the handler makes.
func cut(all []record, tid int) ([]run, error) {
	var thread []record
	for _, c := range all {
		if c.tid == tid {
			thread = append(thread, c)
		}
	}
	lane, ok := laneOf(thread)
	if !ok {
		return nil, fmt.Errorf("the trace shows no receive of thread %d: it is not one that serves calls", tid)
	}
	var runs []run
	begin := -1 // index after the last receive
	sent := false
	finish := func(end int) {
		if begin >= 0 && sent {
			runs = append(runs, handlerPart(thread, begin, end, lane))
		}
	}
	for i := range thread {
		c := &thread[i]
		fd, ok := c.fd()
		if !ok || fd != lane {
			continue
		}
		switch {
		case isReceive(c.name):
			finish(i)
			if sent || begin < 0 {
				begin, sent = -1, false
			}
			// A long body takes several receives, with nothing sent between.
			if n, ok := c.returned(); ok && n > 0 {
				begin = i + 1
			}
		case isSend(c.name):
			sent = true
		}
	}
	finish(len(thread))
	return runs, nil
}

// laneOf finds the lane's descriptor: the thread was waiting on it when strace
// came, so it is that of the first receive.
func laneOf(thread []record) (int, bool) {
	for i := range thread {
		if isReceive(thread[i].name) {
			return thread[i].fd()
		}
	}
	return 0, false
}

func isReceive(name string) bool { return name == "recvfrom" || name == "recvmsg" }

func isSend(name string) bool { return name == "sendto" || name == "sendmsg" }

// handlerPart narrows thread[begin:end], one whole call, to the handler.
func handlerPart(thread []record, begin, end, lane int) run {
	first, last := -1, -1
	reply := end
	for i := begin; i < end; i++ {
		c := &thread[i]
		if c.name == "clock_gettime" && strings.HasPrefix(c.args, "CLOCK_THREAD_CPUTIME_ID") {
			if first < 0 {
				first = i
			}
			last = i
		}
		if fd, ok := c.fd(); ok && fd == lane && isSend(c.name) {
			reply = i
		}
	}
	if first >= 0 && last > first {
		return run{
			start: thread[first].end(), end: thread[last].start, calls: thread[first+1 : last],
			clocks: []time.Duration{thread[first].took, thread[last].took},
		}
	}
	// No readings of the clock: from what was received to the reply.
	return run{start: thread[begin-1].end(), end: thread[min(reply, len(thread)-1)].start, calls: thread[begin:reply]}
}
