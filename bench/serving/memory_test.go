package serving

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/procfs"
	"github.com/chiron-faas/chiron/internal/programtest"
	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/plan/model"
	"github.com/chiron-faas/chiron/workflow"
)

// BenchmarkMemoryEstimate holds Plan.MemoryEstimate, of a profile measured first,
// against what the language hosts of served plans hold.
func BenchmarkMemoryEstimate(b *testing.B) {
	agent := programtest.BuildAgent(b)
	for _, name := range []string{"finra-5", "slapp"} {
		dir := b.TempDir()
		if err := os.CopyFS(dir, os.DirFS("../../examples/"+name)); err != nil {
			b.Fatal(err)
		}
		p, err := workflow.Load(dir)
		if err != nil {
			b.Fatal(err)
		}
		measured, _, err := pipeline.Profile(b.Context(), pipeline.ProfileOptions{Project: p, Reuse: true})
		if err != nil {
			b.Fatal(err)
		}
		endStore, err := pipeline.ServeStore(b.Context(), p, nil)
		if err != nil {
			b.Fatal(err)
		}
		for _, m := range []model.Model{model.OneToOne, model.FaastlaneP} {
			b.Run(fmt.Sprintf("%s/%s", name, m), func(b *testing.B) {
				pl, err := model.Build(m, model.Input{Workflow: p.Name, Definition: p.Definition, Functions: p.Functions, Profile: measured})
				if err != nil {
					b.Fatal(err)
				}
				dir, err := os.MkdirTemp("", "m") // of a short name: see Options.Dir
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = os.RemoveAll(dir) }()
				up, err := Up(b.Context(), Options{Project: p, Plan: pl, Agent: agent, Dir: dir, Interpreter: interpreter})
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = up.Down(b.Context()) }()
				for b.Loop() {
					if _, _, err := Post(b.Context(), up.Client, "/", p.Input, false); err != nil {
						b.Fatal(err)
					}
				}
				status, err := up.Running.Status(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				held := 0.0
				for _, w := range status.Wraps {
					zygotes := procfs.Children(w.PID)
					if len(zygotes) == 0 {
						b.Skip("the kernel does not tell a process' children")
					}
					for _, zygote := range zygotes {
						held += float64(memory(b, zygote).RSS) / 1e6
						for _, worker := range procfs.Children(zygote) {
							held += float64(memory(b, worker).Private) / 1e6
						}
					}
				}
				estimate := float64(pl.MemoryEstimate(measured)) / 1e6
				b.ReportMetric(held, "held-MB")
				b.ReportMetric(estimate, "estimate-MB")
				b.ReportMetric(estimate-held, "high-by-MB")
			})
		}
		if err := endStore(); err != nil {
			b.Fatal(err)
		}
	}
}

func interpreter(ctx context.Context, lang, runtime string) (string, error) {
	found, err := host.FindInterpreter(ctx, lang, runtime)
	return found.Path, err
}

func memory(b *testing.B, pid int) procfs.Memory {
	b.Helper()
	m, err := procfs.ReadMemory(pid)
	if err != nil {
		b.Fatal(err)
	}
	return m
}
