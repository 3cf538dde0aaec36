package host_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/memfile"
)

var memoryFunctions = map[string]source{
	"echo":  {"handler.py": "def handle(req):\n    return req\n"},
	"event": {"handler.py": "def handle(event, context):\n    return event.body\n"},
	"json":  {"handler.py": "def handler(event, context):\n    return event\n"},
	"half":  {"handler.py": "def handle(req):\n    return req[:len(req) // 2]\n"},
	"fails": {"handler.py": "def handle(req):\n    raise ValueError(len(req))\n"},
	"large": {"handler.py": "def handle(req):\n    return 'x' * int(req)\n"},
	"slow":  {"handler.py": "import time\ndef handle(req):\n    time.sleep(0.3)\n    return req\n"},
}

// text is n bytes that differ along the way.
func text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(i/4093%26)
	}
	return b
}

// TestLargeBodies has bodies of all sizes around the bound come through whole,
// by every kind of handler, with and without kept memory, on both sides.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	spec := specOf(t, memoryFunctions)
	spec.MaxBody = 8 << 20
	z := start(t, spec)
	for _, keep := range []bool{false, true} {
		o := anyCPU(1)
		o.KeepMemory = keep
		w := spawn(t, z, o)
		for _, size := range []int{
			host.DefaultShareOver - 1, host.DefaultShareOver, host.DefaultShareOver + 1, 100_000, 4 << 20, 200_000, 8 << 20,
		} {
			body := text(size)
			for _, f := range []string{"echo", "event"} {
				r, err := w.Call(t.Context(), host.Call{Function: f, Body: body})
				if err != nil || !bytes.Equal(r.Body, body) {
					t.Errorf("keep %v, %s of %d bytes: %v, %d bytes back", keep, f, size, err, len(r.Body))
				}
				if r.Memory != nil {
					t.Error("a caller got shared memory that did not ask for it")
				}
			}
			value := append(append([]byte{'"'}, body[2:]...), '"')
			r, err := w.Call(t.Context(), host.Call{Function: "json", Body: value})
			if err != nil || !bytes.Equal(r.Body, value) {
				t.Errorf("keep %v, json of %d bytes: %v, %d bytes back", keep, size, err, len(r.Body))
			}
			var failed *host.HandlerError
			if _, err := w.Call(t.Context(), host.Call{Function: "fails", Body: body}); !errors.As(err, &failed) || failed.Message != itoa(size) {
				t.Errorf("keep %v, failure on %d bytes: %v", keep, size, err)
			}
		}
		var bad *host.HandlerError
		if _, err := w.Call(t.Context(), host.Call{Function: "large", Body: []byte(itoa(spec.MaxBody + 1))}); !errors.As(err, &bad) || bad.Type != "BadResult" {
			t.Errorf("keep %v: a reply over the limit: %v", keep, err)
		}
	}
}

// TestMemoryIsHandedOn gives replies to other functions as they came, several
// at once, and looks that none is written again while it is held.
func TestMemoryIsHandedOn(t *testing.T) {
	t.Parallel()
	z := start(t, specOf(t, memoryFunctions))
	o := anyCPU(1)
	o.KeepMemory = true
	a, b := spawn(t, z, o), spawn(t, z, o)
	first := text(1 << 20)
	var held []host.Reply
	in := host.Call{Function: "half", Body: append(first, first...), KeepMemory: true}
	for range 7 { // more than a lane keeps
		r, err := a.Call(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if r.Memory == nil {
			t.Fatal("a reply of 1 MiB did not come in shared memory")
		}
		held = append(held, r)
		in = host.Call{Function: "echo", Body: r.Body, Memory: r.Memory, KeepMemory: true}
		a, b = b, a
	}
	for i, r := range held {
		if !bytes.Equal(r.Body, first) {
			t.Errorf("reply %d was written over while it was held", i)
		}
		r.Memory.Release()
	}
}

// TestMemoryIsReused tells by the file's identity.
func TestMemoryIsReused(t *testing.T) {
	t.Parallel()
	z := start(t, specOf(t, memoryFunctions))
	for _, keep := range []bool{true, false} {
		o := anyCPU(1)
		o.KeepMemory = keep
		w := spawn(t, z, o)
		seen := make(map[*memfile.File]bool)
		for i := range 5 {
			r, err := w.Call(t.Context(), host.Call{Function: "echo", Body: text(300_000 + 100*i), KeepMemory: true})
			if err != nil {
				t.Fatal(err)
			}
			seen[r.Memory] = true
			r.Memory.Release()
		}
		if got := len(seen) == 1; got != keep {
			t.Errorf("keep %v: 5 replies came in %d files", keep, len(seen))
		}
	}
}

// TestNoDescriptorLeaks counts them in both processes over large calls that
// end in every way.
func TestNoDescriptorLeaks(t *testing.T) { // not parallel: it counts this process's
	z := start(t, specOf(t, memoryFunctions))
	o := anyCPU(1)
	o.KeepMemory = true
	w := spawn(t, z, o)
	body := text(200_000)
	round := func() {
		for _, f := range []string{"echo", "event", "fails", "half", "json"} {
			r, err := w.Call(t.Context(), host.Call{Function: f, Body: body, KeepMemory: true})
			if err == nil && r.Memory != nil {
				r.Memory.Release()
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50e6)
		defer cancel()
		if _, err := w.Call(ctx, host.Call{Function: "slow", Body: body, KeepMemory: true}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the slow call: %v", err)
		}
		// Waits for the lane, whose reply is drained meanwhile.
		if _, err := w.Call(t.Context(), host.Call{Function: "echo", Body: body}); err != nil {
			t.Error(err)
		}
	}
	for range 3 {
		round()
	}
	ours, theirs := descriptors(t, os.Getpid()), descriptors(t, w.Pid())
	for range 5 {
		round()
	}
	if n := descriptors(t, os.Getpid()); n > ours {
		t.Errorf("this process had %d descriptors and has %d", ours, n)
	}
	if n := descriptors(t, w.Pid()); n > theirs {
		t.Errorf("the worker had %d descriptors and has %d", theirs, n)
	}
	w.Close()
	z.Close()
	if maps, err := os.ReadFile("/proc/self/maps"); err != nil || strings.Contains(string(maps), "memfd:chiron") {
		t.Errorf("shared memory is mapped after all has ended (%v)", err)
	}
}

// TestMemoryWithSeveralCallers has threads and processes exchange large bodies.
func TestMemoryWithSeveralCallers(t *testing.T) {
	t.Parallel()
	z := start(t, specOf(t, memoryFunctions))
	o := anyCPU(2)
	o.MaxLanes, o.KeepMemory = 4, true
	w := spawn(t, z, o)
	var wg sync.WaitGroup
	for c := range 6 {
		wg.Go(func() {
			body := text(70_000 + c*100_000)
			for range 10 {
				r, err := w.Call(t.Context(), host.Call{Function: "echo", Body: body, KeepMemory: true})
				if err != nil || !bytes.Equal(r.Body, body) {
					t.Errorf("caller %d: %v, %d bytes back", c, err, len(r.Body))
					return
				}
				r.Memory.Release()
			}
		})
	}
	wg.Wait()
}

// TestNoSharedMemory has a worker get none: its replies go through the socket.
func TestNoSharedMemory(t *testing.T) {
	t.Parallel()
	functions := map[string]source{"echo": {"handler.py": "import os\n" +
		"def none(*_):\n    raise OSError(12, 'no memory')\n" +
		"os.memfd_create = none\n" +
		"def handle(req):\n    return req\n"}}
	z := start(t, specOf(t, functions))
	w := spawn(t, z, anyCPU(1))
	body := text(1 << 20)
	for range 3 {
		r, err := w.Call(t.Context(), host.Call{Function: "echo", Body: body, KeepMemory: true})
		if err != nil || !bytes.Equal(r.Body, body) || r.Memory != nil {
			t.Fatalf("%v, %d bytes back, in shared memory: %v", err, len(r.Body), r.Memory != nil)
		}
	}
}

// BenchmarkTransfer echoes a body: through the socket, through shared memory
// that is new each time, and through memory that is kept. Where the last two
// meet the first is what DefaultShareOver should be.
func BenchmarkTransfer(b *testing.B) {
	for _, way := range []struct {
		name  string
		over  int
		keep  bool
		chain bool
	}{{"socket", -1, false, false}, {"new", 1, false, false}, {"kept", 1, true, false}, {"chain", 1, true, true}} {
		spec := specOf(b, map[string]source{"echo": {"handler.py": "def handle(event, context):\n    return event.body\n"}})
		spec.MaxBody, spec.ShareOver = 256<<20, way.over
		z := start(b, spec)
		for _, size := range []int{4 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10, 1 << 20, 16 << 20} {
			b.Run(way.name+"/"+itoa(size>>10)+"KiB", func(b *testing.B) {
				o := anyCPU(1)
				o.KeepMemory = way.keep
				w := spawn(b, z, o)
				defer w.Close()
				c := host.Call{Function: "echo", Body: text(size), KeepMemory: true}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					r, err := w.Call(b.Context(), c)
					if err != nil {
						b.Fatal(err)
					}
					if c.Memory != nil {
						c.Memory.Release()
						c.Memory = nil
					}
					switch {
					case way.chain:
						c.Body, c.Memory = r.Body, r.Memory
					case r.Memory != nil:
						r.Memory.Release()
					}
				}
				if c.Memory != nil {
					c.Memory.Release()
				}
			})
		}
	}
}

func itoa(n int) string { return strconv.Itoa(n) }
