package predict

// dueBegin is the begin of a task's thread that is to come.
type dueBegin struct {
	task int
	made int64 // when it was called
}

// due notes a thread's begin in its process. Where requests are drawn, the threads
// of a resident process that are called at the same moment on one CPU begin in an
// order that is drawn too: the agent makes all calls before any of them has the
// CPU, and then the kernel takes which it will. (Measured, in 1,600 traces: of
// three threads on one CPU the last began first in 54 %, the first in 26 %; on two
// CPUs the first in 66 %, and forked processes keep the order mostly, too.)
func (s *simulation) due(x *interpreter, t int, at int64) {
	x.begins = append(x.begins, len(s.begins))
	s.at(at, event{kind: startTask, subject: len(s.begins)})
	s.begins = append(s.begins, dueBegin{task: t, made: s.now})
	if s.shuffle == 0 || x.group >= 0 || len(s.domains[s.homes[s.processes[x.process].wrap]].cpus) > 1 {
		return
	}
	last := len(x.begins) - 1
	first := last
	for first > 0 && s.begins[x.begins[first-1]].made == s.now {
		first--
	}
	// The last changes places with any, which makes all orders alike (Durstenfeld,
	// 1964).
	other := first + s.drawn(last-first+1)
	a, b := &s.begins[x.begins[last]], &s.begins[x.begins[other]]
	a.task, b.task = b.task, a.task
}

// drawn is a number below n (xorshift64: Marsaglia, 2003).
func (s *simulation) drawn(n int) int {
	s.shuffle ^= s.shuffle << 13
	s.shuffle ^= s.shuffle >> 7
	s.shuffle ^= s.shuffle << 17
	return int(s.shuffle >> 33 % uint64(n))
}
