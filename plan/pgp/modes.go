package pgp

import (
	"time"

	"github.com/chiron-faas/chiron/plan"
)

// fresh are the modes besides plan.Pool that the processes of a layout, but the
// first of each wrap, are tried in: those that serve one request, so that nothing
// a handler leaves behind reaches the next. They begin later than resident ones
// (begins), so they are tried where those meet the target; the first that meets
// it too is taken. Forked ones come first, since nothing of them waits between
// requests; those that wait begin sooner, and are tried where calibration says
// how soon. All of a layout have one mode: TestMixtures says what mixing them
// would give.
func (s *search) fresh() []plan.Mode {
	if s.Method == Algorithm2 || s.Calibration.Standby == 0 {
		return []plan.Mode{plan.Fork}
	}
	return []plan.Mode{plan.Fork, plan.Standby}
}

// late is how much later than a resident process one of a mode begins at least.
func (c composition) late(mode plan.Mode) time.Duration {
	switch mode {
	case plan.Fork:
		return c.startup
	case plan.Standby:
		return c.standby
	default:
		return 0
	}
}
