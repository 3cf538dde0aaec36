package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/deploy"
)

// fake is a deployment whose instances are numbers.
type fake struct {
	t *testing.T

	mu      sync.Mutex
	running map[int]bool // guarded by mu
	most    int          // guarded by mu
	starts  int          // guarded by mu
	fail    error        // of starts; guarded by mu
	// gate, where set, is waited for by each start.
	gate chan struct{}
}

type fakeInstance struct {
	of      *fake
	number  int
	inside  atomic.Int64
	stopped atomic.Bool
}

func newFake(t *testing.T) (*fake, *fakeInstance) {
	f := &fake{t: t, running: map[int]bool{1: true}, most: 1}
	return f, &fakeInstance{of: f, number: 1}
}

func (f *fake) start(ctx context.Context) (deploy.Instance, error) {
	if f.gate != nil {
		select {
		case <-f.gate:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.starts++
	if f.fail != nil {
		return nil, f.fail
	}
	n := 1
	for f.running[n] {
		n++
	}
	f.running[n] = true
	f.most = max(f.most, len(f.running))
	return &fakeInstance{of: f, number: n}, nil
}

func (i *fakeInstance) Number() int { return i.number }

func (i *fakeInstance) Address(wrap string) (network, address string, ok bool) {
	return "unix", fmt.Sprintf("/nowhere/%s.%d", wrap, i.number), true
}

func (i *fakeInstance) Stop(context.Context) error {
	i.stopped.Store(true)
	if n := i.inside.Load(); n != 0 {
		i.of.t.Errorf("instance %d was stopped with %d requests", i.number, n)
	}
	i.of.mu.Lock()
	defer i.of.mu.Unlock()
	delete(i.of.running, i.number)
	return nil
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.running)
}

// eventually waits for what a moment brings about.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not in 20 s", what)
		}
	}
}

func acquire(t *testing.T, f *Fleet, wrap string) Place {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	p, err := f.Acquire(ctx, wrap)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func limit(n int) func(string) int { return func(string) int { return n } }

func TestGrowsAndShrinks(t *testing.T) {
	d, first := newFake(t)
	f := New(Options{First: first, Start: d.start, Min: 1, Max: 3, Idle: 50 * time.Millisecond, Limit: limit(2)})
	defer f.Close()
	var places []Place
	for range 6 {
		places = append(places, acquire(t, f, "w"))
	}
	if d.count() != 3 {
		t.Fatalf("%d instances for 6 requests of 2 each, want 3", d.count())
	}
	by := map[int]int{}
	for _, p := range places {
		by[p.Instance]++
	}
	if by[1] != 2 || by[2] != 2 || by[3] != 2 {
		t.Errorf("requests by instance %v, want 2 each", by)
	}
	// The seventh waits, since there may be no fourth.
	got := make(chan Place)
	go func() {
		p, _ := f.Acquire(context.Background(), "w")
		got <- p
	}()
	select {
	case <-got:
		t.Fatal("a seventh request got a place")
	case <-time.After(30 * time.Millisecond):
	}
	// Another wrap's requests have a bound of their own.
	acquire(t, f, "v").Release()
	for _, p := range places[1:] {
		p.Release()
	}
	seventh := <-got
	eventually(t, "two instances stop", func() bool { return d.count() <= 2 })
	places[0].Release()
	seventh.Release()
	eventually(t, "one is left", func() bool { return d.count() == 1 })
	time.Sleep(100 * time.Millisecond)
	if d.count() != 1 {
		t.Errorf("%d instances, want the least, 1", d.count())
	}
}

// Requests that come to none wait for one start, all together.
func TestFromZero(t *testing.T) {
	d, first := newFake(t)
	d.gate = make(chan struct{})
	f := New(Options{First: first, Start: d.start, Min: 0, Max: 5, Idle: 20 * time.Millisecond, Limit: limit(100)})
	defer f.Close()
	eventually(t, "none is left", func() bool { return d.count() == 0 })
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			p := acquire(t, f, "w")
			p.Release()
		})
	}
	eventually(t, "all wait", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.wraps["w"] != nil && len(f.wraps["w"].waiting) == 50
	})
	close(d.gate)
	all.Wait()
	d.mu.Lock()
	starts := d.starts
	d.mu.Unlock()
	if starts != 1 {
		t.Errorf("%d starts for 50 requests at once, want 1", starts)
	}
	eventually(t, "none is left again", func() bool { return d.count() == 0 })
}

func TestStartFails(t *testing.T) {
	d, first := newFake(t)
	f := New(Options{First: first, Start: d.start, Min: 0, Max: 1, Idle: time.Millisecond})
	defer f.Close()
	eventually(t, "none is left", func() bool { return d.count() == 0 })
	d.mu.Lock()
	d.fail = errors.New("no module named x")
	d.gate = make(chan struct{})
	d.mu.Unlock()
	failures := make(chan error, 10)
	for range 10 {
		go func() {
			_, err := f.Acquire(context.Background(), "w")
			failures <- err
		}()
	}
	eventually(t, "all wait", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.wraps["w"] != nil && len(f.wraps["w"].waiting) == 10
	})
	close(d.gate)
	for range 10 {
		err := <-failures
		var failed *StartError
		if !errors.As(err, &failed) || failed.Wait <= 0 || !strings.Contains(err.Error(), "no module named x") {
			t.Fatalf("error %v, want a StartError that says why", err)
		}
	}
	// The next is answered at once, and starts nothing.
	if _, err := f.Acquire(t.Context(), "w"); !strings.Contains(fmt.Sprint(err), "no module named x") {
		t.Errorf("error %v in the pause", err)
	}
	d.mu.Lock()
	starts := d.starts
	d.fail = nil
	d.mu.Unlock()
	if starts != 1 {
		t.Errorf("%d starts, want 1", starts)
	}
	eventually(t, "a start succeeds after the pause", func() bool {
		p, err := f.Acquire(t.Context(), "w")
		if err == nil {
			p.Release()
		}
		return err == nil
	})
}

func TestWaiterLeaves(t *testing.T) {
	d, first := newFake(t)
	f := New(Options{First: first, Start: d.start, Min: 1, Max: 1, Limit: limit(1)})
	p := acquire(t, f, "w")
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := f.Acquire(ctx, "w")
		left <- err
	}()
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
	go func() {
		_, err := f.Acquire(context.Background(), "w")
		left <- err
	}()
	eventually(t, "it waits", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.wraps["w"].waiting) == 1
	})
	f.Close()
	if err := <-left; !errors.Is(err, ErrClosed) {
		t.Errorf("error %v after Close, want ErrClosed", err)
	}
	p.Release()
}

func TestSuspend(t *testing.T) {
	d, first := newFake(t)
	f := New(Options{First: first, Start: d.start, Min: 2, Max: 2, Limit: limit(4)})
	defer f.Close()
	eventually(t, "two run", func() bool { return f.Counts().Ready == 2 })
	p := acquire(t, f, "w")
	if p.Instance != 1 || p.Alone || p.Suspect {
		t.Fatalf("place %+v, want the first instance", p)
	}
	p.Suspend()
	q := acquire(t, f, "w")
	if q.Instance != 2 || q.Suspect {
		t.Fatalf("place %+v, want the second instance", q)
	}
	q.Suspend()
	if r := acquire(t, f, "w"); !r.Suspect {
		t.Errorf("place %+v of two instances that were not reached", r)
	} else {
		r.Release()
	}
}

// Whatever comes and goes: no instance is stopped under a request, no bound is
// broken, and nothing is left inside.
func TestRandomLoad(t *testing.T) {
	d, first := newFake(t)
	const most, each = 4, 3
	f := New(Options{First: first, Start: d.start, Min: 0, Max: most, Idle: 2 * time.Millisecond, Limit: limit(each)})
	var callers sync.WaitGroup
	for range 40 {
		callers.Go(func() {
			for range 50 {
				wrap := []string{"v", "w"}[rand.IntN(2)]
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(20)+1)*time.Millisecond)
				p, err := f.Acquire(ctx, wrap)
				cancel()
				if err != nil {
					continue
				}
				i := p.member.Instance.(*fakeInstance)
				if n := i.inside.Add(1); n > 2*each || i.stopped.Load() {
					t.Errorf("instance %d has %d requests, stopped: %v", i.number, n, i.stopped.Load())
				}
				time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
				i.inside.Add(-1)
				p.Release()
			}
		})
	}
	callers.Wait()
	eventually(t, "none is left", func() bool { return d.count() == 0 })
	f.Close()
	for wrap, l := range f.wraps {
		if l.inside != 0 || len(l.waiting) != 0 {
			t.Errorf("wrap %s: %d inside and %d waiting in the end", wrap, l.inside, len(l.waiting))
		}
	}
}

func BenchmarkAcquire(b *testing.B) {
	f := New(Options{First: &fakeInstance{number: 1}, Min: 1, Max: 4})
	defer f.Close()
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		p, err := f.Acquire(ctx, "w")
		if err != nil {
			b.Fatal(err)
		}
		p.Release()
	}
}
