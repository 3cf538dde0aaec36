package fleet

import (
	"testing"
	"time"
)

func TestResize(t *testing.T) {
	fake, first := newFake(t)
	f := New(Options{First: first, Start: fake.start, Min: 1, Max: 1, Idle: time.Hour})
	defer f.Close()
	ready := func(n int) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			if c := f.Counts(); c.Ready == n && c.Starting+c.Stopping == 0 {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%+v instances, want %d", f.Counts(), n)
			}
		}
	}
	f.Resize(3, 3)
	ready(3)
	// One with a request is not stopped before it is answered.
	p, err := f.Acquire(t.Context(), "w")
	if err != nil {
		t.Fatal(err)
	}
	f.Resize(0, 3)
	ready(1)
	if p.Instance != 1 {
		t.Errorf("instance %d has the request", p.Instance)
	}
	p.Release()
	f.Resize(0, 2)
	ready(0)
	// From nothing, a request starts one.
	if p, err = f.Acquire(t.Context(), "w"); err != nil {
		t.Fatal(err)
	}
	p.Release()
	ready(1)
	f.Resize(2, 2)
	ready(2)
}
