package pgp

import (
	"time"

	"github.com/chiron-faas/chiron/plan"
)

// fresh are the modes besides plan.Pool that the processes of a layout, but the
// first of each wrap, are tried in: those that serve one request, so that nothing
// a handler leaves behind reaches the next. They begin later than resident ones
// (begins), so they are tried where those meet the target; the first that meets
// it too is taken. All of a layout have one mode: TestMixtures says what mixing
// them would give.
func fresh() []plan.Mode { return []plan.Mode{plan.Fork} }

// late is how much later than a resident process one of a mode begins at least.
func (c composition) late(mode plan.Mode) time.Duration {
	if mode == plan.Fork {
		return c.startup
	}
	return 0
}
