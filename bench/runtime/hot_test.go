package runtime

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/chiron-faas/chiron/bench/load"
	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/deploy/local"
	"github.com/chiron-faas/chiron/internal/programtest"
	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
	"github.com/chiron-faas/chiron/wrap"
)

// BenchmarkAgent is a request of the workflow of ten functions that do nothing, to
// an agent inside this process: what -cpuprofile and -memprofile are for
// (scripts/profile). The load is in the profile, too.
func BenchmarkAgent(b *testing.B) {
	for _, mode := range plan.Modes() {
		b.Run(string(mode), func(b *testing.B) {
			p, dir := hotProject(b, mode)
			bundles, err := bundle.Build(b.Context(), bundle.Options{Project: p.loaded, Plan: p.plan, OutDir: filepath.Join(dir, "b")})
			if err != nil {
				b.Fatal(err)
			}
			socket := filepath.Join(dir, "a.sock")
			agent, err := wrap.New(b.Context(), wrap.Options{Dir: bundles[0].Dir, Listen: "unix://" + socket})
			if err != nil {
				b.Fatal(err)
			}
			ctx, end := context.WithCancel(b.Context())
			ended := make(chan error, 1)
			go func() { ended <- agent.Serve(ctx) }()
			defer func() {
				end()
				if err := <-ended; err != nil {
					b.Error(err)
				}
			}()
			hot(b, load.Target{Network: "unix", Address: socket, Path: "/", Body: []byte(`{}`)})
		})
	}
}

// BenchmarkGateway is the same through a gateway inside this process, whose agent
// is another.
func BenchmarkGateway(b *testing.B) {
	agent := programtest.BuildAgent(b)
	p, dir := hotProject(b, plan.Pool)
	target, err := local.New(local.Options{Agent: agent, Dir: filepath.Join(dir, "s")})
	if err != nil {
		b.Fatal(err)
	}
	listener, err := pipeline.Listen(b.Context(), "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	served, err := pipeline.Serve(b.Context(), pipeline.ServeOptions{Project: p.loaded, Plan: p.plan, Name: p.loaded.Name, Target: target, Listener: listener})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := served.Close(); err != nil {
			b.Error(err)
		}
	}()
	hot(b, load.Target{Network: "tcp", Address: listener.Addr().String(), Path: "/function/" + p.loaded.Name, Body: []byte(`{}`)})
}

type hotPlan struct {
	loaded *workflow.Project
	plan   *plan.Plan
}

func hotProject(b *testing.B, mode plan.Mode) (hotPlan, string) {
	b.Helper()
	dir, err := os.MkdirTemp("", "h") // of a short name: sockets lie in it
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := pathProject("hot", pathPlaces[0].processes, pathPlaces[0].wraps, mode)
	if err := p.write(filepath.Join(dir, "p")); err != nil {
		b.Fatal(err)
	}
	loaded, err := workflow.Load(filepath.Join(dir, "p"))
	if err != nil {
		b.Fatal(err)
	}
	made, err := p.plan()
	if err != nil {
		b.Fatal(err)
	}
	return hotPlan{loaded, made}, dir
}

// hot asks one request after the other, and by 32 connections.
func hot(b *testing.B, target load.Target) {
	for _, c := range []struct {
		name        string
		connections int
	}{{"one", 1}, {"crowd", 32}} {
		b.Run(c.name, func(b *testing.B) {
			if _, err := load.Run(b.Context(), target, load.Options{Connections: c.connections, Requests: 4 * c.connections}); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			r, err := load.Run(b.Context(), target, load.Options{Connections: c.connections, Requests: b.N})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(r.Percentile(50))/1e3, "p50-µs")
		})
	}
}
