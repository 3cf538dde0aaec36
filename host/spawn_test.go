package host

import (
	"sync"
	"testing"
	"time"
)

// TestSpawnWhileTheZygoteEnds: a worker that its zygote can no longer be asked for
// ends, though it was retired before that was known.
func TestSpawnWhileTheZygoteEnds(t *testing.T) {
	ours, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	if err := theirs.Close(); err != nil {
		t.Fatal(err)
	}
	z := &Zygote{spec: Spec{StopGrace: time.Millisecond}, alive: make(map[uint32]*Worker)}
	if z.control, err = unixConn(ours); err != nil {
		t.Fatal(err)
	}
	defer z.control.Close()
	stop := make(chan struct{})
	var retiring sync.WaitGroup
	defer retiring.Wait()
	defer close(stop)
	var seen []*Worker
	retired := make(chan struct{})
	retiring.Go(func() {
		for {
			for _, w := range z.snapshot() {
				w.Retire(0)
				w.mu.Lock()
				before := w.retired // its end
				w.mu.Unlock()
				if before && len(seen) < 3 {
					if seen = append(seen, w); len(seen) == 3 {
						close(retired)
					}
				}
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	deadline := time.Now().Add(30 * time.Second)
	for met := false; !met; {
		if time.Now().After(deadline) {
			t.Fatal("no worker was retired while it was spawned")
		}
		if w, err := z.Spawn(t.Context(), WorkerOptions{CPU: AnyCPU, Lanes: 2, MaxLanes: 3}); err == nil {
			t.Fatalf("spawned worker %d of a zygote that has ended", w.id)
		}
		select {
		case <-retired:
			met = true
		default:
		}
	}
	for _, w := range seen {
		select {
		case <-w.Done():
		case <-time.After(10 * time.Second):
			t.Fatalf("worker %d has not ended", w.id)
		}
	}
	z.workers.Wait()
}
