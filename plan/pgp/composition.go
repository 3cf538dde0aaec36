package pgp

import (
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict"
)

// composition puts a stage together from processes that do not touch each other,
// since each has a CPU of its own and every branch is one task: equations 2 to 4.
// All that the search knows of them is here; TestCompose holds it against the
// simulation of the whole.
type composition struct {
	startup, block, ipc, rpc, inv time.Duration
	// parent is what each fork costs the first process of its wrap beside block.
	parent time.Duration
	// standby is what the first call of a child that waits takes longer than one of
	// a resident process.
	standby time.Duration
}

func compositionOf(c *predict.Calibration) composition {
	return composition{
		startup: c.Startup, block: c.Block, ipc: c.IPC, rpc: c.RPC, inv: c.INV,
		standby: max(0, c.Standby-c.Dispatch),
	}
}

// offsets says of each process how much later it ends than if it were alone in
// wrap 1, where used says which processes have a task of the stage.
func (c composition) offsets(sh *shape, used []bool, out []time.Duration) {
	j, called := 0, time.Duration(0)
	for w := range sh.wraps {
		n, forks := time.Duration(0), time.Duration(0)
		for i := j; i < j+sh.wraps[w].processes; i++ {
			if used[i] {
				n++
				if sh.slots[i].mode == plan.Fork {
					forks++
				}
			}
		}
		around := max(0, n-1) * c.ipc // the wrap's own work and the call's
		if w > 0 && n > 0 {
			called++
			around += called*c.inv + c.rpc
		}
		forked := time.Duration(0)
		for range sh.wraps[w].processes {
			out[j] = around
			switch {
			case !used[j]:
			case sh.slots[j].mode == plan.Fork:
				out[j] += forked * c.block
				forked++
			case c.parent > 0:
				out[j] += forks * (c.block + c.parent)
			}
			j++
		}
	}
}

// begins says when each process can begin to compute, if all processes of its
// group have tasks, as few wraps of the other groups as can be, and collecting
// results costs nothing: no more than what offsets and the process itself come to.
// Those of a group, sorted, are no more than those of any of its processes.
func (c composition) begins(sh *shape, st *stage) []time.Duration {
	c.ipc, c.parent = 0, 0
	out := make([]time.Duration, len(sh.slots))
	for g, w := range st.groups {
		if w.duration == 0 {
			continue
		}
		begins := c.allBegin(sh, func(sl *slot) bool {
			return sl.group == g || sl.first && st.groups[sl.group].duration > 0
		})
		for j := range out {
			if sh.slots[j].group == g {
				out[j] = begins[j]
			}
		}
	}
	return out
}

// allBegin says when each process can begin if those that are used have tasks, as
// if collecting the results came first.
func (c composition) allBegin(sh *shape, use func(*slot) bool) []time.Duration {
	used, out := make([]bool, len(sh.slots)), make([]time.Duration, len(sh.slots))
	for j := range used {
		used[j] = use(&sh.slots[j])
	}
	c.offsets(sh, used, out)
	for j := range out {
		out[j] += c.late(sh.slots[j].mode)
	}
	return out
}
