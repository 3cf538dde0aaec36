package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/internal/atomicfile"
	"github.com/chiron-faas/chiron/internal/prices"
	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/plan/model"
	"github.com/chiron-faas/chiron/plan/pgp"
	"github.com/chiron-faas/chiron/simulate"
)

// simulateFlags are what "chiron simulate" is given besides those of plans.
type simulateFlags struct {
	nodes, nodeCPUs  int
	nodeMemory       string
	rate, arrivals   string
	requests, warmUp int
	instances        string
	idle, coldStart  time.Duration
	concurrency      int
	queue            int
	models           []string
	seed             uint64
	csv              string
}

func newSimulate(a *app) *cobra.Command {
	var f planFlags
	var s simulateFlags
	cmd := &cobra.Command{
		Use:   "simulate DIR",
		Short: "On paper: latency, CPUs, memory and money on many machines",
		Long: `Plays requests of the project on many machines, on paper: how long they take, what
the instances need and cost an hour, and what is refused, under the project's plan
(DIR/plan.json, where it fits) and under each deployment model. Requests share the
CPUs and interpreter locks of the instance that they are in; instances are started
and stopped as "chiron up --instances" does, on the first nodes that they fit on.

A trace is a CSV file: a line is the time of a request in seconds, or the time at
which an interval begins and the number of requests in it. What is printed is of
the requests after the warm-up; one seed gives one result. docs/simulate.md says
what is left out.`,
		Example: "  chiron simulate examples/finra-5 --nodes 4 --rate 40/s\n  chiron simulate examples/finra-5 --nodes 1000 --rate 100000/s --instances 8000..\n  chiron simulate examples/finra-5 --nodes 10 --arrivals trace.csv --instances 0.. --csv out.csv",
		Args:    one("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.concurrency = s.concurrency
			prepare, err := f.prepare(cmd)
			if err != nil {
				return err
			}
			prepare.Concurrency = 0 // for the simulation, and not for a plan.json
			o, err := s.options(cmd)
			if err != nil {
				return err
			}
			if err := a.measures(&prepare, args[0]); err != nil {
				return err
			}
			o.Prepare, o.Anew = prepare, f.asksForPlan(cmd)
			shown := a.progress()
			o.Prepare.Progress = shown.note
			result, err := pipeline.Simulate(cmd.Context(), o)
			shown.end()
			if err != nil {
				return err
			}
			r := reportSimulation(result, &o)
			if s.csv != "" {
				if err := writeSimulation(s.csv, r); err != nil {
					return err
				}
			}
			return a.report(r, textSimulation(r))
		},
	}
	s.add(cmd)
	flags := cmd.Flags()
	flags.DurationVar(&f.slo, "slo", 0, "`latency` to hold requests against, instead of the project's")
	flags.StringVar(&f.calibration, "calibration", "", "`file` with this machine's constants; default: one in the cache")
	flags.StringVar(&f.prices, "prices", "", "`table` of prices: "+strings.Join(prices.Names(), ", ")+" or a file; default: the project's")
	f.objective = objectives()[0]
	return cmd
}

func (s *simulateFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.IntVar(&s.nodes, "nodes", 1, "`number` of machines")
	flags.IntVar(&s.nodeCPUs, "node-cpus", 16, "`CPUs` of each")
	flags.StringVar(&s.nodeMemory, "node-memory", "64GB", "`memory` of each, such as 512MB; 0: enough")
	flags.StringVar(&s.rate, "rate", "", "requests, such as 50/s, 3000/m; of a trace: its time runs\nfaster or slower, so that this is its mean")
	flags.StringVar(&s.arrivals, "arrivals", "poisson", "poisson, steady, or the `file` of a trace (.csv)")
	flags.IntVar(&s.requests, "requests", 0, "`number` of requests that are reported; default: 100000, or the trace's")
	flags.IntVar(&s.warmUp, "warm-up", -1, "`number` of requests before them; default: a fifth, or 0 of a trace")
	flags.Lookup("warm-up").DefValue = "0" // not shown: the text says what it is
	flags.StringVar(&s.instances, "instances", "1..", "how many instances of the plan may run: `MIN..MAX`; MIN run from the\nbegin; without MAX as many as there is room for")
	flags.DurationVar(&s.idle, "idle", simulate.DefaultIdle, "how long an instance that is not needed stays")
	flags.DurationVar(&s.coldStart, "cold-start", simulate.DefaultColdStart, "how long an instance takes to start")
	flags.IntVar(&s.concurrency, "concurrency", 0, "most requests that an instance works on at once; default: the plan's")
	flags.IntVar(&s.queue, "queue", simulate.DefaultQueue, "most requests that wait for all instances; more get 429")
	flags.StringSliceVar(&s.models, "models", nil, "`names` of deployment models; default: all")
	flags.Uint64Var(&s.seed, "seed", 1, "`seed` of all that is drawn")
	flags.StringVar(&s.csv, "csv", "", "write the table into this `file` too")
	_ = cmd.RegisterFlagCompletionFunc("models", cobra.FixedCompletions(simulatedNames(), cobra.ShellCompDirectiveNoFileComp))
}

// simulatedNames are the project's plan, and the fixed deployment models.
func simulatedNames() []string {
	names := []string{pgp.Name}
	for _, m := range model.All() {
		names = append(names, string(m))
	}
	return names
}

// defaultSimulated are the requests that are reported where no trace says how many.
const defaultSimulated = 100_000

// options checks the flags and reads the trace.
func (s *simulateFlags) options(cmd *cobra.Command) (pipeline.SimulateOptions, error) {
	o := pipeline.SimulateOptions{Models: s.models, Concurrency: s.concurrency, Run: simulate.Options{
		Nodes: s.nodes, Node: simulate.Node{CPUs: s.nodeCPUs}, Idle: s.idle, ColdStart: s.coldStart, Queue: s.queue, Seed: s.seed,
	}}
	changed := cmd.Flags().Changed
	switch {
	case s.nodes < 1 || s.nodes > simulate.MaxNodes:
		return o, usagef("--nodes %d: give 1 to %d", s.nodes, simulate.MaxNodes)
	case s.nodeCPUs < 1 || s.nodeCPUs > simulate.MaxNodeCPUs:
		return o, usagef("--node-cpus %d: give 1 to %d", s.nodeCPUs, simulate.MaxNodeCPUs)
	case s.idle <= 0:
		return o, usagef("--idle %v: give a positive duration such as 30s", s.idle)
	case s.coldStart < 0:
		return o, usagef("--cold-start %v: give a duration such as 250ms", s.coldStart)
	case s.queue < 0:
		return o, usagef("--queue %d: give 0 or more", s.queue)
	case s.requests < 0 || s.requests == 0 && changed("requests"):
		return o, usagef("--requests %d: give at least 1", s.requests)
	case s.warmUp < 0 && changed("warm-up"):
		return o, usagef("--warm-up %d: give 0 or more", s.warmUp)
	}
	if s.coldStart == 0 {
		o.Run.ColdStart = -1
	}
	if s.queue == 0 {
		o.Run.Queue = -1
	}
	for _, m := range s.models {
		if !slices.Contains(simulatedNames(), m) {
			return o, usagef("--models %q is none: choose of %s", m, strings.Join(simulatedNames(), ", "))
		}
	}
	var err error
	if o.Run.Node.Memory, err = parseMemory(s.nodeMemory); err != nil {
		return o, err
	}
	if o.Run.Min, o.Run.Max, err = parseInstances(s.instances); err != nil {
		return o, err
	}
	return o, s.arrive(&o)
}

// arrive sets when requests come and how many.
func (s *simulateFlags) arrive(o *pipeline.SimulateOptions) error {
	rate := 0.0
	var err error
	if s.rate != "" {
		if rate, err = parseRate(s.rate); err != nil {
			return err
		}
	}
	requests, warmUp := s.requests, s.warmUp
	switch {
	case s.arrivals == "poisson" || s.arrivals == "steady":
		if rate == 0 {
			return usagef("--rate is missing: give requests a second, such as 50/s")
		}
		if o.Arrivals = func() simulate.Arrivals { return simulate.NewPoisson(rate, s.seed) }; s.arrivals == "steady" {
			o.Arrivals = func() simulate.Arrivals { return simulate.NewSteady(rate) }
		}
		if requests == 0 {
			requests = defaultSimulated
		}
		if warmUp < 0 {
			warmUp = requests / 5
		}
	case !strings.ContainsAny(s.arrivals, "./"):
		return usagef("--arrivals %q: choose poisson or steady, or name a trace's file, such as trace.csv", s.arrivals)
	default:
		trace, err := readTrace(s.arrivals)
		if err != nil {
			return err
		}
		o.Arrivals = func() simulate.Arrivals { return trace.Arrivals(rate, s.seed) }
		warmUp = max(warmUp, 0)
		if requests == 0 {
			requests = max(trace.Requests()-warmUp, 1)
		}
	}
	if requests > simulate.MaxRequests-warmUp || warmUp > simulate.MaxRequests {
		return usagef("--requests %d and --warm-up %d: at most %d are simulated", requests, warmUp, simulate.MaxRequests)
	}
	o.Run.Requests, o.Run.WarmUp = requests+warmUp, warmUp
	return nil
}

func readTrace(name string) (_ *simulate.Trace, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	t, err := simulate.ReadTrace(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

// parseRate reads "50", "50/s", "3000/m" or "1e6/h" as requests a second.
func parseRate(text string) (float64, error) {
	number, unit, _ := strings.Cut(text, "/")
	seconds, known := map[string]float64{"": 1, "s": 1, "m": 60, "h": 3600}[unit]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !known || strings.HasSuffix(text, "/") {
		return 0, usagef("--rate %q: write requests a second, minute or hour: 50/s, 3000/m, 180000/h", text)
	}
	if err := simulate.CheckRate(n / seconds); err != nil {
		return 0, usagef("--rate %q: %v", text, err)
	}
	return n / seconds, nil
}

// parseMemory reads "64GB", "512MB" or a number of bytes.
func parseMemory(text string) (int64, error) {
	number, unit := text, 1.0
	for suffix, bytes := range map[string]float64{"kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12} {
		if short, ok := strings.CutSuffix(text, suffix); ok {
			number, unit = short, bytes
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n >= 0 && n*unit <= float64(simulate.MaxNodeMemory)) {
		return 0, usagef("--node-memory %q: write bytes, or such as 512MB or 64GB; at most 1000TB", text)
	}
	return int64(math.Round(n * unit)), nil
}

// parseInstances reads "2", "0..4" or "1..": without a most, 0.
func parseInstances(text string) (least, most int, err error) {
	from, to, isRange := strings.Cut(text, "..")
	least, err1 := strconv.Atoi(from)
	most, err2 := least, error(nil)
	if isRange && to == "" {
		most = 0
	} else if isRange {
		most, err2 = strconv.Atoi(to)
	}
	switch open := isRange && to == ""; {
	case err1 != nil || err2 != nil || least < 0 || least > simulate.MaxInstances || most > simulate.MaxInstances:
		return 0, 0, usagef("--instances %q: write a number, MIN..MAX or MIN..; at most %d", text, simulate.MaxInstances)
	case !open && (most < 1 || most < least):
		return 0, 0, usagef("--instances %q: MAX must be at least 1, and not below MIN", text)
	}
	return least, most, nil
}

// writeSimulation writes the table as CSV.
func writeSimulation(name string, r *simulationReport) error {
	var b strings.Builder
	w := csv.NewWriter(&b)
	header, rows := r.table()
	err := errors.Join(w.Write(header), w.WriteAll(rows))
	if err == nil {
		err = atomicfile.Write(name, []byte(b.String()))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
