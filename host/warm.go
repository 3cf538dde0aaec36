package host

import (
	"context"
	"slices"
	"strconv"
	"sync"
)

// WarmUp prepares a worker that waits for its first call, such that the call
// costs what it does in one that has served many: it is called on every lane
// that it has, through frames, threads and codecs, without a handler; then, on
// the first, the warmup entries of the named functions that have one run (see
// chiron_host/handlers.py). What an entry raises is a line of Spec.Log.
//
// It is meant for a worker that nobody calls yet. Its errors are Call's; after
// context.DeadlineExceeded an entry may still run, and the worker is to be
// killed.
func (w *Worker) WarmUp(ctx context.Context, functions ...string) error {
	practice := len(w.zygote.spec.Functions) // the number after the last: see doc.go
	w.mu.Lock()
	order := slices.Clone(w.free)
	w.mu.Unlock()
	lanes := max(1, len(order))
	errs := make([]error, lanes)
	var wg sync.WaitGroup
	for i := 1; i < lanes; i++ {
		wg.Go(func() { _, errs[i] = w.call(ctx, Call{}, practice) })
	}
	_, errs[0] = w.call(ctx, Call{}, practice)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	w.reorder(order) // the main thread's lane stays the first to be used
	for _, name := range functions {
		if !w.zygote.WarmsUp(name) {
			continue
		}
		c := Call{Function: name, Body: strconv.AppendInt(nil, int64(w.zygote.index[name]), 10)}
		if _, err := w.call(ctx, c, practice); err != nil {
			return err
		}
	}
	return nil
}

// reorder puts the free lanes into an order, where they are the same.
func (w *Worker) reorder(lanes []*lane) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.free) == len(lanes) {
		copy(w.free, lanes)
	}
}

// WarmsUp tells whether a function's module has a warmup entry.
func (z *Zygote) WarmsUp(function string) bool {
	for _, f := range z.ready.Functions {
		if f.Function == function {
			return f.WarmUp
		}
	}
	return false
}
