package predict

import (
	"testing"

	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/profile"
)

// TestResources: CPU time is all that computes; memory is that of the stage
// which has most.
func TestResources(t *testing.T) {
	measured := predicttest.Behave(t, "a: cpu 10 block 5, b: native 3 cpu 1, c: block 4, d: cpu 2")
	for i := range measured.Functions {
		f := &measured.Functions[i]
		f.Name = f.Tasks[0]
		f.Memory = profile.Memory{
			Host: profile.Footprint{RSS: 1000}, Worker: profile.Footprint{Private: 100},
			Imports: profile.Footprint{RSS: 10}, Calls: profile.Footprint{Private: int64(i + 1)}, Transient: 5000,
		}
	}
	d := &measured.Functions[3]
	d.Wall.Mean, d.CPU.Mean, d.Cold.Mean, d.ColdCPU.Mean = 2*ms, 2*ms, 6*ms, 6*ms
	c := Paper()
	p, err := New(predicttest.Define(t, predicttest.Seq{"a", predicttest.Par{"b", "c"}, "d"}), measured, &c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Predict(predicttest.Arrange(t, "2: pool a | fork b | fork c | fork d"))
	if err != nil {
		t.Fatal(err)
	}
	// 10 + 3 + 1 + 2 of functions, 13 for each of three forks; d is called
	// for the first time in its process, 4 ms more.
	if got.CPU != 59*ms {
		t.Errorf("CPU time %v, want 16 + 4 + 3·13 ms", got.CPU)
	}
	// The host, 4 imports; in stage 2 the pool process has 100 and 1, the forks
	// 100 and 2, 100 and 3; b and c run.
	if want := int64(1000 + 4*10 + 101 + 102 + 103 + 2*5000); got.Memory != want {
		t.Errorf("memory %d, want %d", got.Memory, want)
	}
}
