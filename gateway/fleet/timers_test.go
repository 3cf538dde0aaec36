package fleet

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chiron-faas/chiron/deploy"
)

// goroutines are the stacks of those that do something of a fleet's, but this one.
func goroutines() []string {
	buffer := make([]byte, 1<<20)
	var found []string
	for stack := range strings.SplitSeq(string(buffer[:runtime.Stack(buffer, true)]), "\n\n") {
		if strings.Contains(stack, "gateway/fleet.(*Fleet)") && !strings.Contains(stack, "fleet.goroutines(") {
			found = append(found, stack)
		}
	}
	return found
}

// closes closes a fleet and looks whether anything of it goes on: tempt makes that
// there is something to do for a timer that is still there, and fired says that it
// was done.
func closes(t *testing.T, f *Fleet, tempt func(), fired func() bool) {
	t.Helper()
	synctest.Wait()
	if len(goroutines()) == 0 {
		t.Fatal("no goroutine of the fleet is seen: the test looks for the wrong ones")
	}
	begun := time.Now()
	f.Close()
	if took := time.Since(begun); took != 0 {
		t.Errorf("Close took %v: it waits for a timer, and does not end it", took)
	}
	synctest.Wait()
	for _, stack := range goroutines() {
		t.Errorf("a goroutine is left behind Close:\n%s", stack)
	}
	// As if nobody had closed it: a timer that is still there does what it is for.
	f.mu.Lock()
	f.closed = false
	tempt()
	f.mu.Unlock()
	time.Sleep(time.Hour)
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if fired() {
		t.Error("a timer fires behind Close")
	}
}

// TestTimersEndWithClose: a fleet's timers have an owner who ends them and waits
// for them, whatever they are for. The clock is synctest's: nothing depends on
// how fast the machine is.
func TestTimersEndWithClose(t *testing.T) {
	t.Run("of a suspension", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d, first := newFake(t)
			f := New(Options{First: first, Start: d.start, Max: 1})
			acquire(t, f, "w").Suspend()
			if !f.members[0].watched {
				t.Fatal("nobody waits for the suspension's end")
			}
			closes(t, f, func() {}, func() bool { return !f.members[0].watched })
		})
	})
	t.Run("of a start to try again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d, first := newFake(t)
			d.fail = errors.New("no room")
			f := New(Options{First: first, Start: d.start, Max: 2, Limit: limit(1)})
			acquire(t, f, "w")
			waits, leave := context.WithCancel(t.Context())
			defer leave()
			answered := make(chan error, 1)
			go func() {
				_, err := f.Acquire(waits, "w")
				answered <- err
			}()
			synctest.Wait()
			if d.starts != 1 {
				t.Fatalf("%d starts, want the one that fails", d.starts)
			}
			// It is tried again for who waits.
			tempt := func() { f.line("w").waiting = []*waiter{{done: make(chan struct{})}} }
			closes(t, f, tempt, func() bool { return d.starts != 1 })
			if err := <-answered; !errors.Is(err, ErrClosed) {
				t.Errorf("the request that waits gets %v, want ErrClosed", err)
			}
		})
	})
	t.Run("of instances that fall idle", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d, first := newFake(t)
			f := New(Options{First: first, Start: d.start, Max: 2, Idle: time.Minute})
			closes(t, f, func() {}, func() bool { return first.stopped.Load() })
		})
	})
	t.Run("that came after it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d, first := newFake(t)
			f := New(Options{First: first, Start: d.start})
			fired := false
			f.mu.Lock()
			f.later(time.Second, func() { fired = true })
			f.mu.Unlock()
			closes(t, f, func() {}, func() bool { return fired })
			f.mu.Lock()
			f.closed = true
			f.later(time.Second, func() { fired = true })
			f.mu.Unlock()
			time.Sleep(time.Hour)
			if fired {
				t.Error("a timer begins behind Close")
			}
		})
	})
}

// slow is an instance that takes its time to stop.
type slow struct {
	*fakeInstance
	takes time.Duration
}

func (s *slow) Stop(ctx context.Context) error {
	time.Sleep(s.takes)
	return s.fakeInstance.Stop(ctx)
}

// TestCloseWaits: what Close cannot end it waits for, to the moment.
func TestCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, first := newFake(t)
		f := New(Options{First: &slow{first, 3 * time.Second}, Start: d.start, Max: 1, Idle: time.Minute})
		time.Sleep(time.Minute + time.Second) // it stops since a second
		if f.Counts().Stopping != 1 {
			t.Fatalf("counts %+v, want one that stops", f.Counts())
		}
		begun := time.Now()
		f.Close()
		if took := time.Since(begun); took != 2*time.Second || !first.stopped.Load() {
			t.Errorf("Close took %v, want the 2 s that the instance has left", took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		_, first := newFake(t)
		ended := false
		f := New(Options{First: first, Min: 2, Start: func(ctx context.Context) (deploy.Instance, error) {
			<-ctx.Done()
			time.Sleep(time.Second)
			ended = true
			return nil, context.Cause(ctx)
		}})
		synctest.Wait()
		f.Close()
		if !ended {
			t.Error("Close returned before the start did that it has ended")
		}
	})
}

// TestTimersAreOnTime: who waits is served at the moment at which there is a
// place, and not at the next look.
func TestTimersAreOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, first := newFake(t)
		f := New(Options{First: first, Start: d.start, Min: 2, Limit: limit(1)})
		defer f.Close()
		synctest.Wait()
		one, two := acquire(t, f, "w"), acquire(t, f, "w")
		begun := time.Now()
		two.Suspend()
		if got := acquire(t, f, "w"); got.Instance != two.Instance || time.Since(begun) != suspension {
			t.Errorf("a place with instance %d after %v, want %d after %v", got.Instance, time.Since(begun), two.Instance, suspension)
		}
		one.Release()
	})
	synctest.Test(t, func(t *testing.T) {
		d, first := newFake(t)
		d.fail = errors.New("no room")
		f := New(Options{First: first, Start: d.start, Max: 2, Limit: limit(1)})
		defer f.Close()
		acquire(t, f, "w")
		begun := time.Now()
		go func() {
			time.Sleep(firstPause / 2)
			d.mu.Lock()
			d.fail = nil
			d.mu.Unlock()
		}()
		if acquire(t, f, "w"); time.Since(begun) != firstPause {
			t.Errorf("the start was tried again after %v, want %v", time.Since(begun), firstPause)
		}
	})
}
