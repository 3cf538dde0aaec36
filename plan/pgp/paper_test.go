package pgp

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/profile"
)

// published is a workflow that the paper's authors published with its functions'
// profiles, and what their planner answers: the SLO, and milliseconds by count
// of processes; the last meets the SLO.
type published struct {
	name    string
	stages  [][]string
	slo     time.Duration
	answers map[int]float64
}

// publishedWorkflows are those of the artifact of Chiron (SC '23).
func publishedWorkflows() []published {
	return []published{
		{"SN", [][]string{
			{"compose-post"},
			{"upload-user-mentions", "upload-creator", "upload-media", "upload-text", "upload-unique-id"},
			{"compose-and-upload"},
			{"post-storage", "upload-home-timeline", "upload-user-timeline"},
		}, 72 * msec, map[int]float64{1: 48.18}},
		{"MR", [][]string{
			{"compose-review"},
			{"upload-user-id", "upload-movie-id", "mr-upload-text", "mr-upload-unique-id"},
			{"mr-compose-and-upload"},
			{"store-review", "upload-user-review", "upload-movie-review"},
		}, 63 * msec, map[int]float64{1: 43.77}},
		{"FINRA-5", finra(5), 119 * msec, map[int]float64{1: 99.07}},
		{"SLApp", [][]string{
			{"network-io", "factorial", "disk-io", "fibonacci"},
			{"network-io", "pi", "pbkdf2"},
		}, 104 * msec, map[int]float64{2: 98.29}},
		{"FINRA-50", finra(50), 255 * msec, map[int]float64{2: 414, 3: 341.73, 4: 267.71, 5: 367.55, 6: 198.91}},
		{"FINRA-100", finra(100), 350 * msec, map[int]float64{2: 806.86, 3: 571.89, 4: 436.76, 5: 733.23, 6: 344.50}},
		{"FINRA-200", finra(200), 492 * msec, map[int]float64{2: 1590.09, 3: 1114.61, 4: 828.91, 5: 1472.37, 6: 579.87, 7: 501.45, 8: 460.76}},
	}
}

// finra is n branches over the five rules in equal parts, then a sum.
func finra(n int) [][]string {
	rules := []string{"marketdata", "lastpx", "side", "trddate", "volume"}
	var branches []string
	for i := range n {
		branches = append(branches, rules[i%len(rules)])
	}
	return [][]string{branches, {"margin-balance"}}
}

// problem makes a search's of it, with the constants of the paper's test bed.
func (w *published) problem(t testing.TB) Problem {
	measured := &profile.Profile{Workflow: w.name}
	index := make(map[string]int)
	var graph predicttest.Seq
	for i, functions := range w.stages {
		var stage predicttest.Par
		for k, f := range functions {
			task := fmt.Sprintf("%s-%d-%d", f, i, k)
			stage = append(stage, task)
			at, known := index[f]
			if !known {
				at = len(measured.Functions)
				index[f] = at
				measured.Functions = append(measured.Functions, profile.Function{Name: f, Periods: predicttest.Published(t, f)})
			}
			measured.Functions[at].Tasks = append(measured.Functions[at].Tasks, task)
		}
		if len(stage) == 1 {
			graph = append(graph, stage[0])
		} else {
			graph = append(graph, stage)
		}
	}
	c := predict.Paper()
	return Problem{Workflow: w.name, Definition: predicttest.Define(t, graph), Profile: measured, Calibration: &c, SLO: w.slo}
}

// onTestBed is a search that the model of the paper's authors judges, in
// processes of the paper's native mode, each with a CPU, at most six in wrap 1.
func (w *published) onTestBed(t testing.TB) *search {
	s, err := newSearch(w.problem(t))
	if err != nil {
		t.Fatal(err)
	}
	s.native, s.waits = false, false
	s.composition.parent = predict.ForkParent
	s.newPredictor = func() (predictor, error) { return predict.NewTestBed(s.Definition, s.Profile) }
	return s
}

// nativeShapes has n processes, all but the first of each wrap forked, at most six
// in wrap 1.
func nativeShapes(s *search, n int) []*shape {
	return slices.DeleteFunc(s.pinned([]int{n}, plan.Fork), func(sh *shape) bool { return sh.wraps[0].processes > 6 })
}

// TestPaperInputs holds plans against what the authors' planner answers for their
// own profiles, by its own model: at every count of processes ours is no slower,
// it needs no more of them at each SLO, and more never make it slower.
func TestPaperInputs(t *testing.T) {
	// What Algorithm 2 answers, ms, where that is not what the authors' program
	// does: exchanges that help alike are taken in another order.
	otherOptimum := map[string]float64{"FINRA-100 6": 345.72, "FINRA-200 3": 1112.56}
	for _, w := range publishedWorkflows() {
		if raceEnabled && len(w.stages[0]) > 50 {
			continue
		}
		s := w.onTestBed(t)
		worker, err := s.newWorker()
		if err != nil {
			t.Fatal(err)
		}
		enough, theirs := 0, slices.Max(slices.Collect(keys(w.answers)))
		var before time.Duration
		for n := 1; n <= min(s.last, 8); n++ {
			var best *candidate
			shapes, err := worker.leading(t.Context(), nativeShapes(s, n), asFastAsCanBe)
			if err != nil {
				t.Fatal(err)
			}
			for _, sh := range shapes {
				c, err := worker.partition(t.Context(), sh, asFastAsCanBe)
				if err != nil {
					t.Fatal(err)
				}
				best = faster(best, c)
			}
			if n > 1 && before < best.latency {
				t.Logf("%s: %d processes take %v, one fewer %v", w.name, n, best.latency, before)
				best.latency = before // one stays empty
			}
			before = best.latency
			answer, known := w.answers[n]
			text := "            "
			if known {
				text = fmt.Sprintf("theirs %8.2f", answer)
			}
			reference := w.algorithm2(t, n)
			t.Logf("%-9s %2d processes: %s, Algorithm 2 %8.2f, ours %8.2f ms", w.name, n, text, ms(reference), ms(best.latency))
			// The reference is faithful: it answers what the authors' program does,
			// but twice, where it comes to another local optimum.
			if other, ok := otherOptimum[fmt.Sprintf("%s %d", w.name, n)]; ok {
				answer = other
			}
			if known && math.Abs(ms(reference)-answer) > 0.025 {
				t.Errorf("%s with %d processes: Algorithm 2 finds %.2f ms, the authors' program %.2f", w.name, n, ms(reference), answer)
			}
			answer = w.answers[n]
			if known && fmt.Sprintf("%.2f", ms(best.latency)) != fmt.Sprintf("%.2f", answer) && ms(best.latency) > answer {
				t.Errorf("%s with %d processes: %.2f ms, the authors' %.2f", w.name, n, ms(best.latency), answer)
			}
			if enough == 0 && best.latency <= w.slo {
				enough = n
			}
		}
		if enough == 0 || enough > theirs {
			t.Errorf("%s needs %d processes for %v, the authors' %d", w.name, enough, w.slo, theirs)
		}
	}
}

// algorithm2 is what the paper's search as it is printed finds with n processes.
func (w *published) algorithm2(t *testing.T, n int) time.Duration {
	s := w.onTestBed(t)
	s.Method = Algorithm2
	worker, err := s.newWorker()
	if err != nil {
		t.Fatal(err)
	}
	// As many in wrap 1 as are forked while another wrap is called,
	// (T_RPC + T_INV) / T_Block, and the others in the next.
	sizes := []int{min(n, 6)}
	if n > 6 {
		sizes = append(sizes, n-6)
	}
	sh := s.divided([]int{n}, plan.Fork, func(int) []int { return sizes })
	c, err := worker.partition(t.Context(), sh, asFastAsCanBe)
	if err != nil {
		t.Fatal(err)
	}
	return c.latency
}

func keys(m map[int]float64) func(func(int) bool) {
	return func(yield func(int) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func BenchmarkPaper(b *testing.B) {
	for _, w := range publishedWorkflows() {
		b.Run(w.name, func(b *testing.B) {
			p := w.problem(b)
			for b.Loop() {
				r, err := Search(b.Context(), p)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(r.Evaluations), "predictions")
				b.ReportMetric(float64(r.Plan.CPUs()), "cpus")
			}
		})
	}
}
