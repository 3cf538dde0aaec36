package runtime

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/bench/load"
	"github.com/chiron-faas/chiron/bench/serving"
	"github.com/chiron-faas/chiron/internal/cputime"
	"github.com/chiron-faas/chiron/internal/quantile"
	"github.com/chiron-faas/chiron/plan"
)

const (
	// throughputRound is how long few connections are asked in a round, crowdRound
	// how long crowd of them or more are: each is to ask several times.
	throughputRound = 400 * time.Millisecond
	crowdRound      = 800 * time.Millisecond
	crowd           = 100
	// throughputPatience bounds a round, the answers to what was asked at its end
	// included.
	throughputPatience = time.Minute
	// work is what the handler computes: some 0.2 ms.
	work = `def handler(event, context):
    n = 0
    for i in range(5000):
        n += i
    return n
`
)

// throughputCell is one way to a wrap of one mode, and a number of connections.
type throughputCell struct {
	gateway     int // the process
	agent       int
	mode        plan.Mode
	way         string
	target      load.Target
	connections int
	// By round.
	rate, agentCPU, gatewayCPU, agentMB []float64
	p50, p99                            []time.Duration
	refused, asked                      int
}

// The ways to a wrap.
const (
	wayAgent   = "agent"
	wayGateway = "gateway"
)

// throughput asks wraps of each mode as fast as they answer.
func throughput(ctx context.Context, o Options, dir string) (_ []Table, err error) {
	if o.Rounds == 0 {
		o.Rounds = 3
	}
	if o.connections == nil {
		o.connections = []int{1, 4, 16, 32, 100, 300, 1000}
	}
	var cells []*throughputCell
	for _, mode := range plan.Modes() {
		o.Progress(fmt.Sprintf("start %s", mode))
		s := subject{string(mode), work, plan.Process{Mode: mode}}
		folder := filepath.Join(dir, s.name)
		if err := s.project(o.Runtime).write(folder); err != nil {
			return nil, err
		}
		served, err2 := serving.Start(ctx, serving.ProgramOptions{
			Chiron: o.Chiron, Project: folder, Name: s.name, State: filepath.Join(dir, "r-"+s.name), Body: []byte(`{}`),
		})
		if err2 != nil {
			return nil, err2
		}
		defer func() { err = errors.Join(err, served.Stop()) }()
		status, err2 := served.Status(ctx)
		if err2 != nil {
			return nil, err2
		}
		agent, err2 := served.Agent(ctx)
		if err2 != nil {
			return nil, err2
		}
		ways := map[string]load.Target{wayAgent: agent, wayGateway: served.Gateway()}
		for _, way := range []string{wayAgent, wayGateway} {
			if way == wayGateway && mode != plan.Pool {
				continue // the gateway knows no modes
			}
			for _, n := range o.connections {
				cells = append(cells, &throughputCell{
					gateway: served.PID(), agent: status.Wraps[0].PID, mode: mode, way: way, connections: n, target: ways[way],
				})
			}
		}
	}
	for round := range o.Rounds + 1 { // the first is to warm up
		for _, c := range cells {
			o.Progress(fmt.Sprintf("throughput: round %d of %d: %s through the %s, %d connections", round, o.Rounds, c.mode, c.way, c.connections))
			if err := c.ask(ctx, round > 0); err != nil {
				return nil, fmt.Errorf("%s through the %s, %d connections: %w", c.mode, c.way, c.connections, err)
			}
		}
	}
	return []Table{throughputTable(cells, o.Rounds)}, nil
}

// ask asks for a round.
func (c *throughputCell) ask(ctx context.Context, counts bool) error {
	length := throughputRound
	if c.connections >= crowd {
		length = crowdRound
	}
	ctx, cancel := context.WithTimeout(ctx, throughputPatience)
	defer cancel()
	pids := []int{c.agent, c.gateway}
	before, err := cpuTimes(pids)
	if err != nil {
		return err
	}
	r, err := load.Run(ctx, c.target, load.Options{Connections: c.connections, Duration: length, CountRefusals: true})
	if err != nil {
		return err
	}
	after, err := cpuTimes(pids)
	if err != nil {
		return err
	}
	if !counts {
		return nil
	}
	resident, err := residentMB(c.agent)
	if err != nil {
		return err
	}
	share := func(i int) float64 { return 100 * float64(after[i]-before[i]) / float64(r.Elapsed) }
	c.rate = append(c.rate, r.Rate())
	c.p50, c.p99 = append(c.p50, r.Percentile(50)), append(c.p99, r.Percentile(99))
	c.agentCPU, c.gatewayCPU = append(c.agentCPU, share(0)), append(c.gatewayCPU, share(1))
	c.agentMB = append(c.agentMB, resident)
	c.refused += r.Refusals()
	c.asked += r.Refusals() + len(r.Latencies)
	return nil
}

// cpuTimes is how much CPU time each process has had.
func cpuTimes(pids []int) (times []time.Duration, err error) {
	times = make([]time.Duration, len(pids))
	for i, pid := range pids {
		if times[i], err = cputime.Of(pid); err != nil {
			return nil, err
		}
	}
	return times, nil
}

func throughputTable(cells []*throughputCell, rounds int) Table {
	t := Table{
		Experiment: "throughput",
		Title:      fmt.Sprintf("Requests to a function that computes for 0.2 ms, as fast as they are answered, median of %d rounds", rounds),
		Keys:       []string{"mode", "through", "connections"},
		Figures:    []string{"requests/s", "p50 ms", "p99 ms", "refused %", "agent CPU %", "agent MB", "gateway CPU %"},
	}
	for _, c := range cells {
		gateway := 0.0
		if c.way == wayGateway {
			gateway = quantile.Median(c.gatewayCPU)
		}
		t.add([]string{string(c.mode), c.way, fmt.Sprint(c.connections)},
			quantile.Median(c.rate), float64(quantile.Median(c.p50))/1e6, float64(quantile.Median(c.p99))/1e6,
			100*float64(c.refused)/float64(max(c.asked, 1)), quantile.Median(c.agentCPU), quantile.Median(c.agentMB), gateway)
	}
	return t
}

// percentile of latencies, ms.
func percentile(latency []time.Duration, percent float64) float64 {
	return float64(quantile.Nearest(slices.Sorted(slices.Values(latency)), percent)) / 1e6
}
