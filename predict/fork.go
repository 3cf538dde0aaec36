package predict

import (
	"slices"

	"github.com/chiron-faas/chiron/plan"
)

// A forked process costs CPU time at both of its ends, and where processes
// compete for CPUs that is time that others lack. Its wrap's zygote forks one
// after the other, T_Block of work each (equation 4: the j-th child is (j-1)·T_Block
// late); then the child works until its first handler begins, which with the
// zygote's part is T_Startup. When its group has ended it is killed, and what the
// kernel takes back runs beside whatever comes next.
//
// Difference from the paper: there T_Block and T_Startup are delays. They are the
// same where every process has a CPU of its own.

// A standby process was forked before the request: its child is up at once and is
// called (Standby) instead of forked. It ends plan.Linger after its stage, off the
// path of a request that is answered by then, and its replacement comes when the
// request has left.

// job is what a thread is there for.
type job uint8

const (
	runsTask job = iota
	forks        // a wrap's zygote, for one child
	starts       // a forked process, up to its first handler's begin
	ends         // a forked process' end
	calls        // an agent's call of a function
	answers      // a server of this machine, for a thread that waits
)

// zygote is one wrap's.
type zygote struct {
	queue []int // interpreters to fork; the first is being forked
	last  int   // CPU, from 1, that it had last; 0: not known
}

// leftover is work that goes on when a stage has ended.
type leftover struct {
	cpu, domain int
	work        int64 // ns of CPU
	after       int64 // ns from the stage's end to its begin
}

func (s *simulation) readyZygotes() {
	n := len(s.wraps) - 1
	s.zygotes = slices.Grow(s.zygotes[:0], n)[:n]
	for i := range s.zygotes {
		s.zygotes[i] = zygote{queue: s.zygotes[i].queue[:0]}
	}
}

// fork has the fork processes of the group's wrap forked, and takes the children of
// its standby processes, that have a task below the nodes. A task whose wrap is
// elsewhere is forked there, when it is called.
func (s *simulation) fork(i int, nodes []int) {
	g := &s.groups[i]
	first := len(s.lists)
	for p := s.wraps[g.wrap]; p < s.wraps[g.wrap+1]; p++ {
		if !s.processes[p].mode.PerRequest() || !s.serves(p, nodes) {
			continue
		}
		in := s.interpret(interpreter{process: p, group: i})
		s.lists = append(s.lists, in)
		if s.processes[p].mode == plan.Standby {
			s.interpreters[in].up, s.interpreters[in].ready = true, s.now
			continue
		}
		z := &s.zygotes[g.wrap]
		z.queue = append(z.queue, in)
		if len(z.queue) == 1 {
			s.forkNext(g.wrap)
		}
	}
	g.forked = s.listed(first)
}

// forkNext lets a wrap's zygote fork the first in its queue.
func (s *simulation) forkNext(wrap int) {
	s.work(thread{
		job: forks, interpreter: s.zygotes[wrap].queue[0], cpu: -1, domain: s.homes[wrap],
		last: s.zygotes[wrap].last,
		left: int64(min(s.p.calibration.Block, s.p.calibration.Startup)),
	})
}

// work starts a thread that no task has.
func (s *simulation) work(th thread) {
	s.threads = append(s.threads, th)
	s.enterCPU(len(s.threads) - 1)
}

// endJob goes on with what comes after a job.
func (s *simulation) endJob(t int) {
	s.leaveCPU(t)
	th := s.threads[t]
	switch th.job {
	case forks:
		c := &s.p.calibration
		proc := &s.processes[s.interpreters[th.interpreter].process]
		s.work(thread{
			job: starts, interpreter: th.interpreter, cpu: proc.cpu, domain: proc.domain,
			left: int64(max(0, c.Startup-c.Block)),
		})
		z := &s.zygotes[proc.wrap]
		z.last = th.on
		z.queue = slices.Delete(z.queue, 0, 1)
		if len(z.queue) > 0 {
			s.forkNext(proc.wrap)
		}
	case starts:
		in := &s.interpreters[th.interpreter]
		in.up, in.ready, in.last = true, s.now, th.on
		for _, waiting := range in.queue {
			s.schedule(th.interpreter, waiting, s.now)
		}
	case answers:
		s.endPeriod(th.up)
	}
}

// endForks ends a group's forked processes.
func (s *simulation) endForks(group int) {
	exit := int64(s.p.calibration.Exit)
	if exit == 0 {
		return
	}
	for _, in := range s.groups[group].forked {
		proc := &s.processes[s.interpreters[in].process]
		l := leftover{cpu: proc.cpu, domain: proc.domain, work: exit}
		if proc.mode == plan.Standby {
			s.endLater(l, int64(plan.Linger))
			continue
		}
		s.endNow(l)
	}
}

// endNow has a process end.
func (s *simulation) endNow(l leftover) {
	s.work(thread{job: ends, cpu: l.cpu, domain: l.domain, left: l.work})
}

// endLater has a process end after a time from now on.
func (s *simulation) endLater(l leftover, after int64) {
	s.at(s.now+after, event{kind: endChild, subject: len(s.lingering)})
	s.lingering = append(s.lingering, l)
}

// resume goes on with what the stage before has left behind.
func (s *simulation) resume() {
	for _, l := range s.left {
		if l.after > 0 {
			s.endLater(l, l.after)
			continue
		}
		s.endNow(l)
	}
	s.left = s.left[:0]
}

// leave notes what goes on behind the stage.
func (s *simulation) leave() {
	for _, t := range s.running {
		if th := &s.threads[t]; th.job != runsTask && th.left > 0 {
			s.left = append(s.left, leftover{cpu: th.cpu, domain: th.domain, work: th.left})
		}
	}
	for _, e := range s.events {
		if e.kind == endChild {
			l := s.lingering[e.subject]
			l.after = max(1, e.at-s.now) // at the end's own moment it has not begun
			s.left = append(s.left, l)
		}
	}
}
