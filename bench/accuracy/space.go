package accuracy

import (
	"math/big"

	"github.com/chiron-faas/chiron/workflow"
)

// space is every way to spread a workflow's tasks: in each stage, every
// partition of its tasks into processes and, where wraps is set, every partition
// of those processes into wraps. Each way has a number, so that a sample needs
// no list of all: ten tasks in parallel can be spread in 16 million ways.
type space struct {
	tasks [][]string // by stage, in the order of the definition
	wraps bool
}

// spread is one way: the wrap and the process, both counted from 0 in their
// stage and wrap, of every task.
type spread map[string]seat

type seat struct {
	wrap, process int
}

func newSpace(d *workflow.Definition, wraps bool) *space {
	s := &space{wraps: wraps}
	for _, stage := range d.Stages() {
		var names []string
		for _, t := range stage.Root.Tasks() {
			names = append(names, t.Name)
		}
		if len(names) > 0 {
			s.tasks = append(s.tasks, names)
		}
	}
	return s
}

// count is the number of ways: the product over the stages.
func (s *space) count() *big.Int {
	all := big.NewInt(1)
	for _, names := range s.tasks {
		all.Mul(all, s.completions(len(names)).of(len(names), 0))
	}
	return all
}

// at is the way of a number below count.
func (s *space) at(number *big.Int) spread {
	rest := new(big.Int).Set(number)
	all := make(spread)
	for _, names := range s.tasks {
		c := s.completions(len(names))
		in := new(big.Int)
		rest.DivMod(rest, c.of(len(names), 0), in)
		processes, blocks := c.block(len(names), in)
		wraps := make([]int, blocks)
		if s.wraps {
			wraps, _ = newCompletions(blocks, func(int) *big.Int { return big.NewInt(1) }).block(blocks, in)
		}
		seats := make([]int, blocks) // in its wrap
		used := make([]int, blocks)  // processes by wrap
		for p, w := range wraps {
			seats[p] = used[w]
			used[w]++
		}
		for i, name := range names {
			all[name] = seat{wrap: wraps[processes[i]], process: seats[processes[i]]}
		}
	}
	return all
}

// completions of partitions of n tasks into processes, each counted as often as
// its processes can be partitioned into wraps.
func (s *space) completions(n int) *completions {
	return newCompletions(n, func(blocks int) *big.Int {
		if !s.wraps {
			return big.NewInt(1)
		}
		return bell(blocks)
	})
}

// completions counts the partitions of a set that begin in a given way. A
// partition is a restricted growth string: each thing has its block's number,
// and a block's first thing the least number that was not used before.
type completions struct {
	// ways[k][m]: of k things that are left, with m blocks begun.
	ways [][]*big.Int
}

// newCompletions for sets of up to n things, a partition into b blocks counted
// weight(b) times.
func newCompletions(n int, weight func(blocks int) *big.Int) *completions {
	c := &completions{ways: make([][]*big.Int, n+1)}
	for k := range n + 1 {
		for m := range n - k + 1 {
			if k == 0 {
				c.ways[0] = append(c.ways[0], weight(m))
				continue
			}
			// The next thing joins one of m blocks, or begins one.
			w := new(big.Int).Mul(big.NewInt(int64(m)), c.ways[k-1][m])
			c.ways[k] = append(c.ways[k], w.Add(w, c.ways[k-1][m+1]))
		}
	}
	return c
}

func (c *completions) of(left, begun int) *big.Int { return c.ways[left][begun] }

// block returns the partition of a number, and how many blocks it has. What is
// left in number tells apart what weight counted.
func (c *completions) block(n int, number *big.Int) (of []int, blocks int) {
	for left := n - 1; left >= 0; left-- {
		b := 0
		for ; b < blocks && number.Cmp(c.of(left, blocks)) >= 0; b++ {
			number.Sub(number, c.of(left, blocks))
		}
		if b == blocks {
			blocks++
		}
		of = append(of, b)
	}
	return of, blocks
}

// bell is the number of partitions of a set of n things.
func bell(n int) *big.Int {
	return newCompletions(n, func(int) *big.Int { return big.NewInt(1) }).of(n, 0)
}
