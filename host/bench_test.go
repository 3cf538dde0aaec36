package host_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/chiron-faas/chiron/host"
)

var benchFunctions = map[string]source{
	"text":   {"handler.py": "def handle(req):\n    return req\n"},
	"lambda": {"handler.py": "def handler(event, context):\n    return event\n"},
}

var json100 = []byte(`{"portfolio":"0123456789","trades":[{"id":1,"price":100.25,"qty":3},{"id":2,"price":99.5,"qty":10}]}`)

func BenchmarkCall(b *testing.B) {
	z := start(b, specOf(b, benchFunctions))
	w := spawn(b, z, anyCPU(1))
	for _, c := range []struct {
		name, function string
		body           []byte
	}{
		{"Text100B", "text", bytes.Repeat([]byte("x"), 100)},
		{"Lambda100B", "lambda", json100},
		{"Text64KiB", "text", bytes.Repeat([]byte("x"), 64<<10)},
		{"Text1MiB", "text", bytes.Repeat([]byte("x"), 1<<20)},
	} {
		b.Run(c.name, func(b *testing.B) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.Call(ctx, host.Call{Function: c.function, Body: c.body, RequestID: "r-1"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSequence is a workflow of ten trivial functions in one process, as
// far as the host goes: ten calls one after the other per iteration.
func BenchmarkSequence(b *testing.B) {
	z := start(b, specOf(b, benchFunctions))
	w := spawn(b, z, anyCPU(1))
	for b.Loop() {
		for range 10 {
			if _, err := w.Call(context.Background(), host.Call{Function: "lambda", Body: json100}); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkThroughput has 32 callers at once: an iteration is one call.
func BenchmarkThroughput(b *testing.B) {
	z := start(b, specOf(b, benchFunctions))
	for _, workers := range []int{1, 2} {
		for _, lanes := range []int{1, 2, 4, 8, 32} {
			b.Run(fmt.Sprintf("workers=%d/lanes=%d", workers, lanes), func(b *testing.B) {
				var ws []*host.Worker
				for range workers {
					ws = append(ws, spawn(b, z, anyCPU(lanes)))
				}
				defer func() {
					for _, w := range ws {
						w.Close()
					}
				}()
				for _, w := range ws {
					call(b, w, "lambda", "1")
				}
				b.ResetTimer()
				var wg sync.WaitGroup
				for c := range 32 {
					n := b.N / 32
					if c < b.N%32 {
						n++
					}
					wg.Go(func() {
						for range n {
							if _, err := ws[c%workers].Call(context.Background(), host.Call{Function: "lambda", Body: json100}); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
			})
		}
	}
}

// BenchmarkFork is a fork-mode process: spawn, first reply, end.
func BenchmarkFork(b *testing.B) {
	z := start(b, specOf(b, benchFunctions))
	for b.Loop() {
		w := spawn(b, z, anyCPU(1))
		call(b, w, "lambda", "1")
		b.StopTimer()
		w.Close()
		b.StartTimer()
	}
}

func BenchmarkStart(b *testing.B) {
	interpreters, err := host.Interpreters(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	for _, i := range interpreters {
		b.Run(i.Version, func(b *testing.B) {
			spec := specOf(b, benchFunctions)
			spec.Interpreter = i.Path
			for b.Loop() {
				z, err := host.Start(context.Background(), spec)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				z.Close()
				b.StartTimer()
			}
		})
	}
}
