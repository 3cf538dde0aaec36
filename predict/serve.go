package predict

// A function may wait for a server on its own machine: a cache, a database, an
// object store. What such a wait takes is then CPU time too, of another process,
// which any CPU of the machine may give; where the request's own threads want all of
// them, they and the server hold each other up.

// block lets a thread wait for a call.
func (s *simulation) block(t int, p period) {
	served := min(p.served, p.work)
	if served == 0 || s.everywhere < 0 {
		s.at(s.now+p.work, event{kind: wake, subject: t})
		return
	}
	s.at(s.now+p.work-served, event{kind: serve, subject: t})
}

// serve lets the server that a thread waits for work.
func (s *simulation) serve(t int) {
	th := &s.threads[t]
	s.work(thread{job: answers, up: t, cpu: -1, domain: s.everywhere, left: min(th.periods[th.next].served, th.periods[th.next].work)})
}
