package calibrate

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/plan"
)

// estimates are the constants, ns.
type estimates struct {
	request, dispatch, row, threadStart, startup, standby, block, exit, ipc, rpc, inv float64
}

// estimate solves the model's equations (package predict) for its constants.
// latency gives a shape's, run is the function's own time; with r the run,
//
//	sequence of n          Request + n·(Dispatch + r)
//	row of n               Request + Dispatch + (n-1)·Row + n·r
//	threads, n wide        Request + Dispatch + (n-1)·ThreadStart + r
//	pool, n wide           Request + Dispatch + (n-1)·IPC + r
//	fork, n wide           Request + Startup + (n-1)·(Block + IPC) + r
//	standby                Request + Standby + r
//	wraps, n wide          Request + Dispatch + RPC + (n-1)·INV + r
//
// and on one CPU, what a stage of n forks adds to a computation behind it is
// n·Exit and that computation.
//
// All of it is taken from latencies and nothing from the instants at which the
// functions began: what a function's end sets off (the collecting of its
// result, its process' end) belongs to the same constants, and it is latencies
// that are to be predicted. T_IPC is taken from processes that live, where
// nothing but the collecting is in it.
func estimate(latency func(shape string) float64, run float64) estimates {
	line := func(kind string, widths []int, alone float64) []point {
		var points []point
		if alone > 0 {
			points = append(points, point{1, alone})
		}
		for _, n := range widths {
			points = append(points, point{float64(n), latency(key(kind, n))})
		}
		return points
	}
	var e estimates
	one := latency(key("sequence", 1))
	e.dispatch = slope(line("sequence", sequenceLengths, 0)) - run
	e.request = one - run - e.dispatch
	e.row = slope(line("row", rowLengths, one)) - run
	e.threadStart = slope(line("threads", threadWidths, one))
	e.ipc = slope(line("pool", poolWidths, one))
	forks := line(string(plan.Fork), forkWidths, 0)
	both := slope(forks)
	e.block = both - max(0, e.ipc)
	e.startup = intercept(forks, both) + both - e.request - run
	e.standby = latency(key(string(plan.Standby), 1)) - e.request - run
	var added []point
	for _, n := range exitWidths {
		added = append(added, point{float64(n), latency(key("end-then-compute", n)) - latency(key("end", n))})
	}
	e.exit = slope(added)
	wraps := line("wraps", wrapWidths, 0)
	e.inv = slope(wraps)
	e.rpc = intercept(wraps, e.inv) + e.inv - one
	return e
}

// resamples is how often the rounds are drawn anew to see how far the constants
// vary (Efron's bootstrap).
const resamples = 200

// fit takes the constants from what the rounds showed.
func (r *Report) fit(observed []*observation) {
	byName := make(map[string]*observation, len(observed))
	for _, o := range observed {
		byName[o.name] = o
	}
	rounds := len(observed[0].latency)
	all := make([]int, rounds)
	for i := range all {
		all[i] = i
	}
	// of picks rounds: the same ones from every shape, for what disturbs a round
	// disturbs all of it.
	of := func(pick []int) estimates {
		chosen := make([]float64, rounds)
		mid := func(values []float64) float64 {
			for i, k := range pick {
				chosen[i] = values[k]
			}
			return midmean(chosen)
		}
		run := (mid(byName[key("sequence", 1)].run) + mid(byName[key("sequence", sequenceLengths[1])].run)) / 2
		return estimate(func(shape string) float64 { return mid(byName[shape].latency) }, run)
	}
	best := of(all)
	drawn := make([]estimates, resamples)
	dice := rand.New(rand.NewPCG(1, 2)) // the same report from the same rounds
	pick := make([]int, rounds)
	for i := range drawn {
		for k := range pick {
			pick[k] = dice.IntN(rounds)
		}
		drawn[i] = of(pick)
	}
	r.constants(best, drawn)
}

// constants notes the estimates; drawn are what resampled rounds gave.
func (r *Report) constants(best estimates, drawn []estimates) {
	c := r.Calibration
	var doubts []string
	add := func(name, symbol, how string, to *time.Duration, of func(*estimates) float64) {
		values := make([]float64, len(drawn))
		for i := range drawn {
			values[i] = of(&drawn[i])
		}
		value, wide := of(&best), spread(values)
		if value < 0 {
			r.note("%s came out at %v, less than nothing by what the measurement varies: 0 is used", name, duration(value).Round(time.Microsecond))
			value = 0
		}
		*to = duration(value)
		r.Constants = append(r.Constants, Constant{Name: name, Symbol: symbol, How: how, Value: *to, Spread: duration(wide)})
		if wide > doubtful*value && wide > float64(doubtfulFrom) {
			doubts = append(doubts, fmt.Sprintf("%s (%v, give or take %v)", name, to.Round(time.Microsecond), duration(wide).Round(time.Microsecond)))
		}
	}
	add("Request", "", "a sequence's latency less its tasks", &c.Request, func(e *estimates) float64 { return e.request })
	add("Dispatch", "", "slope over a sequence's length, less the function", &c.Dispatch, func(e *estimates) float64 { return e.dispatch })
	add("Row", "", "slope over a row's length, less the function", &c.Row, func(e *estimates) float64 { return e.row })
	c.Row = max(c.Row, leastRow)
	add("ThreadStart", "", "slope over the threads of a process", &c.ThreadStart, func(e *estimates) float64 { return e.threadStart })
	add("Startup", "T_Startup", "one forked process, less Request and function", &c.Startup, func(e *estimates) float64 { return e.startup })
	add("Block", "T_Block", "slope over forked processes, less IPC", &c.Block, func(e *estimates) float64 { return e.block })
	add("Standby", "", "one standby process, less Request and function", &c.Standby, func(e *estimates) float64 { return e.standby })
	add("Exit", "", "what forked processes take from what runs behind them on one CPU", &c.Exit, func(e *estimates) float64 { return e.exit })
	add("IPC", "T_IPC", "slope over pool processes of a wrap", &c.IPC, func(e *estimates) float64 { return e.ipc })
	add("RPC", "T_RPC", "two wraps' latency less one's, less INV", &c.RPC, func(e *estimates) float64 { return e.rpc })
	add("INV", "T_INV", "slope over wraps", &c.INV, func(e *estimates) float64 { return e.inv })
	r.Constants = append(r.Constants, Constant{Name: "SwitchInterval", How: "sys.getswitchinterval of Python " + c.Version, Value: c.SwitchInterval})
	if len(doubts) > 0 {
		r.note("not sure: %s: calibrate again when the machine is idle", strings.Join(doubts, ", "))
	}
}

// leastRow is the Row of a calibration that found none: 0 would say that nobody has
// looked.
const leastRow = time.Microsecond

// A constant that varies by more than this part of it, and more than some
// microseconds, is told to the user. Chosen: three times the tenth within which
// constants repeat on an idle machine (DefaultRuns).
const (
	doubtful     = 0.3
	doubtfulFrom = 30 * time.Microsecond
)

// maxNoise bounds Report.Noise.
const maxNoise = 4

// refuse fails with ErrNoisy where the constants are worth nothing.
func (r *Report) refuse(observed []*observation) error {
	alone := observed[0] // the sequence of one
	overhead := quantile(alone.latency, 0.1) - quantile(alone.run, 0.1)
	r.Noise = spread(alone.latency) / max(overhead, 1)
	if r.Noise <= maxNoise && overhead > 0 {
		return nil
	}
	r.note("the same request took from %v to %v in the middle half of the rounds",
		duration(quantile(alone.latency, 0.25)).Round(time.Microsecond), duration(quantile(alone.latency, 0.75)).Round(time.Microsecond))
	return ErrNoisy
}
