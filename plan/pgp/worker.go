package pgp

import (
	"encoding/binary"
	"time"

	"github.com/chiron-faas/chiron/plan"
)

// worker searches for one goroutine: it has a predictor, and remembers what that
// said of processes. What it finds does not depend on what it found before, so
// that the same is found however the work is shared out.
type worker struct {
	s         *search
	predictor predictor
	// ends remembers when processes that have a CPU of their own end, by stage,
	// mode and kinds of tasks.
	ends        map[string]time.Duration
	key         []byte
	evaluations int
	// bar is what the best plan so far takes on as many CPUs; 0: there is none.
	bar time.Duration
}

// maxEnds bounds what a worker remembers: a few dozen MB.
const maxEnds = 1 << 18

// newWorker makes a worker, or takes one that has been let go, without its
// memory.
func (s *search) newWorker() (*worker, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := len(s.idle) - 1; last >= 0 {
		w := s.idle[last]
		s.idle = s.idle[:last]
		clear(w.ends)
		w.evaluations, w.bar = 0, 0
		return w, nil
	}
	p, err := s.newPredictor()
	if err != nil {
		return nil, err
	}
	return &worker{s: s, predictor: p, ends: make(map[string]time.Duration)}, nil
}

// letGo says that a worker is not needed any more.
func (s *search) letGo(w *worker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = append(s.idle, w)
}

// end says when a process with these tasks ends if it is alone in wrap 1.
func (w *worker) end(st *stage, mode plan.Mode, set []int) (time.Duration, error) {
	if len(set) == 0 {
		return 0, nil
	}
	w.key = binary.LittleEndian.AppendUint16(append(w.key[:0], mode[0]), uint16(st.index))
	for _, t := range set {
		w.key = binary.LittleEndian.AppendUint16(w.key, st.kinds[t])
	}
	if known, ok := w.ends[string(w.key)]; ok {
		return known, nil
	}
	w.evaluations++
	end, err := w.predictor.ProcessLatency(st.index, mode, set)
	if err != nil {
		return 0, err
	}
	if len(w.ends) >= maxEnds {
		clear(w.ends)
	}
	w.ends[string(w.key)] = end
	return end, nil
}
