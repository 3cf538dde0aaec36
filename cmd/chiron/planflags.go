package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/model"
	"github.com/chiron-faas/chiron/plan/pgp"
	"github.com/chiron-faas/chiron/profile/profiler"
	"github.com/chiron-faas/chiron/workflow"
)

// planFlags are those of every verb that plans: plan, run, up.
type planFlags struct {
	slo         time.Duration
	percentile  float64
	model       string
	calibration string
	runs        int
	tracer      string
	fresh       bool
	prices      string
	objective   string
	cpus        int
	exact       bool
	concurrency int
}

func (f *planFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.DurationVar(&f.slo, "slo", 0, "`latency` to meet, such as 120ms, instead of the project's")
	flags.Float64Var(&f.percentile, "percentile", workflow.DefaultPercentile, "`percentile` that --slo is meant at; 0: the mean")
	flags.StringVar(&f.model, "model", "", "plan by a fixed deployment `model`, or as the paper's\nChiron-P or with standby processes (chiron-s)")
	flags.StringVar(&f.objective, "objective", string(plan.FewestCPUs), "`what` to search for: the fewest cpus or the least money\nthat meets the SLO, or the lowest latency")
	flags.IntVar(&f.cpus, "cpus", 0, "most CPUs that the plan may need; default: all of this machine's")
	flags.IntVar(&f.concurrency, "concurrency", 0, fmt.Sprintf("most `requests` that a wrap works on at once; default: the\nproject's, or at most %d", plan.DefaultConcurrency))
	flags.BoolVar(&f.exact, "exact", false, fmt.Sprintf("look at every way to divide the functions (at most %d at a time)", pgp.MaxExact))
	flags.StringVar(&f.calibration, "calibration", "", "`file` with this machine's constants; default: one in the cache")
	flags.IntVar(&f.runs, "runs", 0, "least `number` of runs of each function, when they are measured")
	flags.StringVar(&f.tracer, "tracer", "", "ebpf, perf, strace or portable; default: the best that works here")
	flags.BoolVar(&f.fresh, "fresh", false, "measure the functions again even where nothing has changed")
	_ = cmd.RegisterFlagCompletionFunc("objective", cobra.FixedCompletions(objectives(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("model", cobra.FixedCompletions(modelNames(), cobra.ShellCompDirectiveNoFileComp))
}

// given is the first of some flags that somebody has set; empty: none.
func given(cmd *cobra.Command, names ...string) string {
	for _, name := range names {
		if cmd.Flags().Changed(name) {
			return name
		}
	}
	return ""
}

func modelNames() []string {
	names := pgp.Names()
	for _, m := range model.All() {
		names = append(names, string(m))
	}
	return names
}

func objectives() []string {
	var names []string
	for _, g := range plan.Goals() {
		names = append(names, string(g))
	}
	return names
}

// prepare checks the flags.
func (f *planFlags) prepare(cmd *cobra.Command) (pipeline.PrepareOptions, error) {
	o := pipeline.PrepareOptions{
		Runs: f.runs, Tracer: f.tracer, Calibration: f.calibration, Model: f.model, Fresh: f.fresh, Prices: f.prices,
		Goal: plan.Goal(f.objective), Budget: f.cpus, Exact: f.exact, Concurrency: f.concurrency,
		SLO: workflow.SLO{Latency: f.slo, Percentile: f.percentile},
	}
	switch {
	case f.slo < 0 || f.slo == 0 && cmd.Flags().Changed("slo"):
		return o, usagef("--slo %v: give a positive duration, such as 120ms", f.slo)
	case f.percentile < 0 || f.percentile >= 100:
		return o, usagef("--percentile %v: give a number from 0 (the mean) to under 100", f.percentile)
	case cmd.Flags().Changed("percentile") && f.slo == 0:
		return o, usagef("--percentile says nothing without --slo")
	case !slices.Contains(objectives(), f.objective):
		return o, usagef("--objective %q is none: choose one of %s", f.objective, strings.Join(objectives(), ", "))
	case f.cpus < 0 || f.cpus == 0 && cmd.Flags().Changed("cpus"):
		return o, usagef("--cpus %d: a plan needs at least one", f.cpus)
	case f.concurrency < 0 || f.concurrency > workflow.MaxConcurrency || f.concurrency == 0 && cmd.Flags().Changed("concurrency"):
		return o, usagef("--concurrency %d: give a number from 1 to %d", f.concurrency, workflow.MaxConcurrency)
	case f.runs != 0 && f.runs < profiler.MinRuns:
		return o, usagef("--runs %d: at least %d are needed to tell how a function varies", f.runs, profiler.MinRuns)
	case f.model != "" && !slices.Contains(modelNames(), f.model):
		return o, usagef("--model %q is none: choose one of %s", f.model, strings.Join(modelNames(), ", "))
	}
	return o, nil
}

// measures completes what prepare has begun: the project, and the agent, which
// runs the wraps that are measured for its plan.
func (a *app) measures(o *pipeline.PrepareOptions, project string) (err error) {
	if o.Project, err = loadProject(project); err != nil {
		return err
	}
	o.Agent, err = a.agent(a)
	return err
}

// needsPlan prepares a project's plan while its progress is shown.
func (a *app) needsPlan(ctx context.Context, o pipeline.PrepareOptions) (*pipeline.Prepared, error) {
	shown := a.progress()
	o.Progress = shown.note
	p, err := pipeline.Prepare(ctx, o)
	shown.end()
	return p, err
}
