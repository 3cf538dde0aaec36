package accuracy

import (
	"cmp"
	"fmt"
	"math/big"
	"math/rand"
	"slices"
	"strconv"
	"strings"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// Placement is a plan that is served, measured and predicted.
type Placement struct {
	// ID is short and the same in every run.
	ID string `json:"id"`
	// Model that made the plan, or all that made the same one; empty where it is
	// one of all that there are.
	Model string `json:"model,omitempty"`
	// Mode of a placement without a model: "fork", "pool".
	Mode string `json:"mode,omitempty"`
	// CPUs that all of the placement's wraps share.
	CPUs int        `json:"cpus"`
	Plan *plan.Plan `json:"plan"`
}

// mode is how the processes of a stage with several of them are made.
type mode string

const (
	// forked: they are forked for the request. Where a wrap has one process in a
	// stage, its resident one runs the threads, as in the paper.
	forked mode = "fork"
	// pooled: all are resident.
	pooled mode = "pool"
)

func modes() []mode { return []mode{forked, pooled} }

// cpuCounts are the CPUs that placements are measured on, the machine having
// them.
func cpuCounts() []int { return []int{1, 2} }

// planOf puts the plan of a way together: a wrap's n-th process of every stage
// is one process where both are resident.
func planOf(p *workflow.Project, way spread, m mode, cpus int) *plan.Plan {
	pl := &plan.Plan{Workflow: p.Name, Model: "accuracy"}
	wrapOf := func(i int) *plan.Wrap {
		for len(pl.Wraps) <= i {
			pl.Wraps = append(pl.Wraps, plan.Wrap{Name: fmt.Sprintf("wrap-%d", len(pl.Wraps)+1), CPUs: cpus})
		}
		return &pl.Wraps[i]
	}
	type key struct{ wrap, process int } // process -1: the resident one among forked
	index := make(map[key]int)
	for _, stage := range p.Definition.Stages() {
		tasks := stage.Root.Tasks()
		several := make(map[int]bool) // wraps with several processes in this stage
		for _, t := range tasks {
			several[way[t.Name].wrap] = several[way[t.Name].wrap] || way[t.Name].process > 0
		}
		for _, t := range tasks {
			at := way[t.Name]
			w := wrapOf(at.wrap)
			k, kind := key(at), plan.Pool
			if m == forked && several[at.wrap] {
				kind = plan.Fork
			} else if m == forked {
				k.process = -1
			}
			i, ok := index[k]
			if !ok {
				i = len(w.Processes)
				index[k] = i
				w.Processes = append(w.Processes, plan.Process{Mode: kind, CPU: plan.Unpinned})
			}
			w.Processes[i].Tasks = append(w.Processes[i].Tasks, t.Name)
		}
	}
	for i := range pl.Wraps {
		slices.SortStableFunc(pl.Wraps[i].Processes, func(a, b plan.Process) int {
			return cmp.Compare(b.Mode, a.Mode) // pool before fork
		})
	}
	return pl
}

// sample draws n placements, or all where there are no more: an eighth each of
// every mode, number of CPUs, and of those in one wrap and those in several. It
// is the same for the same seed.
func sample(p *workflow.Project, n int, seed int64) []*Placement {
	random := rand.New(rand.NewSource(seed))
	known := make(map[string]bool)
	var strata [][]*Placement
	spaces := []*space{newSpace(p.Definition, false), newSpace(p.Definition, true)}
	for _, s := range spaces {
		for _, m := range modes() {
			for _, cpus := range cpuCounts() {
				strata = append(strata, draw(p, s, m, cpus, n, random, known))
			}
		}
	}
	// A stratum that has too few leaves its part to the others.
	var all []*Placement
	for turn := 0; len(all) < n; turn++ {
		before := len(all)
		for _, stratum := range strata {
			if turn < len(stratum) && len(all) < n {
				all = append(all, stratum[turn])
			}
		}
		if len(all) == before {
			break
		}
	}
	// What is measured together is a mixture.
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// maxListed is the largest space of which all ways are looked at.
const maxListed = 5000

// draw takes at most n ways of a space that are not known yet.
func draw(p *workflow.Project, s *space, m mode, cpus, n int, random *rand.Rand, known map[string]bool) []*Placement {
	var numbers []*big.Int
	count := s.count()
	if count.IsInt64() && count.Int64() <= maxListed {
		for _, i := range random.Perm(int(count.Int64())) {
			numbers = append(numbers, big.NewInt(int64(i)))
		}
	} else {
		// Repetitions are dropped below; of so many there are few.
		for range 2 * n {
			numbers = append(numbers, new(big.Int).Rand(random, count))
		}
	}
	var all []*Placement
	for _, number := range numbers {
		if len(all) == n {
			break
		}
		pl := planOf(p, s.at(number), m, cpus)
		if s.wraps && len(pl.Wraps) == 1 {
			continue // the other space's
		}
		id := placementID(pl, cpus)
		if known[id] || pl.Apart(plan.NewConflicts(p.Definition, p.Functions, nil, &p.Rules)) != nil {
			continue
		}
		known[id] = true
		all = append(all, &Placement{ID: id, Mode: string(m), CPUs: cpus, Plan: pl})
	}
	return all
}

// placementID is a plan's on so many CPUs.
func placementID(pl *plan.Plan, cpus int) string {
	return pl.Digest()[:12] + "-" + strconv.Itoa(cpus)
}

// name tells a placement to people: its model, or what is where.
func (p *Placement) name() string {
	if p.Model != "" {
		return p.Model
	}
	var b strings.Builder
	for i, w := range p.Plan.Wraps {
		if i > 0 {
			b.WriteString(" / ")
		}
		for k, process := range w.Processes {
			if k > 0 {
				b.WriteString(" | ")
			}
			fmt.Fprintf(&b, "%s %s", process.Mode, strings.Join(process.Tasks, "+"))
			if process.SwitchInterval != 0 {
				fmt.Fprintf(&b, " every %v", process.SwitchInterval)
			}
		}
	}
	return b.String()
}
