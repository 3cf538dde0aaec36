package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/gateway/fleet"
	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/workflow"
)

// upReport is what serves, with --output json.
type upReport struct {
	Name      string   `json:"name"`
	URL       string   `json:"url"`
	Functions []string `json:"functions"`
	PID       int      `json:"pid"`
}

func newUp(a *app) *cobra.Command {
	var f planFlags
	var listen string
	var detach bool
	var readyFD int
	var instances string
	var idle time.Duration
	cmd := &cobra.Command{
		Use:   "up DIR",
		Short: "Deploy on this machine and keep serving",
		Long: `Deploys the project on this machine, by DIR/plan.json where that is a plan of the
workflow, else by one that is made first, and serves it until Ctrl-C or "chiron
down". Flags that ask for another plan make one anew.

With --instances 0..4 requests decide how many instances of the whole plan run:
one more is started when all are at their limit (--concurrency), one that is not
needed is stopped, and the first request after a pause waits for the cold start.
A project may say as much itself, in chiron.yaml:

  scale: {concurrency: 16, instances: 0..4, idle: 30s}`,
		Example: "  chiron up examples/finra-5\n  chiron up examples/finra-5 --listen 127.0.0.1:9000 --detach\n  chiron up examples/finra-5 --instances 0..4 --idle 30s",
		Args:    one("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			prepare, err := f.prepare(cmd)
			if err != nil {
				return err
			}
			if err := checkListen(listen); err != nil {
				return err
			}
			scale, err := parseScale(instances, idle)
			if err != nil {
				return err
			}
			if err := a.measures(&prepare, args[0]); err != nil {
				return err
			}
			project := prepare.Project
			scale = scale.or(project.Scale, cmd.Flags().Changed)
			listener, err := pipeline.Listen(cmd.Context(), listen)
			if err != nil {
				return err
			}
			shown := a.progress()
			prepare.Progress = shown.note
			planned, err := pipeline.PlanToServe(cmd.Context(), prepare, f.asksForPlan(cmd))
			if err != nil {
				shown.end()
				return errors.Join(err, listener.Close())
			}
			if detach {
				shown.end()
				address := listener.Addr().String()
				if err := listener.Close(); err != nil { // the process that stays listens itself
					return err
				}
				return a.detach(cmd.Context(), project, address, f.detached(scale)...)
			}
			target, err := a.target(prepare.Agent)
			if err != nil {
				return errors.Join(err, listener.Close())
			}
			served, err := pipeline.Serve(cmd.Context(), pipeline.ServeOptions{
				Project: project, Plan: planned, Name: project.Name, Version: readVersion().Version, Target: target, Listener: listener, Scale: scale.Scale, Log: a.log(), Progress: shown.note,
			})
			shown.end()
			if err != nil {
				return err
			}
			r := upReport{Name: project.Name, URL: served.URL, Functions: served.Routes[1:], PID: os.Getpid()}
			err = a.report(r, textUp(r))
			if err == nil && readyFD > 0 {
				err = tellReady(readyFD)
			}
			if err == nil {
				served.Wait(cmd.Context())
			}
			if err = errors.Join(err, served.Close()); err == nil {
				printf(a.err, "%s is down\n", project.Name)
			}
			return err
		},
	}
	f.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&listen, "listen", defaultListen, "`address` to serve on")
	flags.StringVar(&instances, "instances", "", "how many instances of the plan may run: `MIN..MAX`;\ndefault: the project's, or 1")
	flags.DurationVar(&idle, "idle", fleet.DefaultIdle, "how long an instance that is not needed stays")
	flags.BoolVar(&detach, "detach", false, "return when it serves, and let it go on in the background")
	flags.IntVar(&readyFD, "ready-fd", 0, "file descriptor to write a line to when it serves")
	_ = flags.MarkHidden("ready-fd")
	return cmd
}

// checkListen says what is wrong with the value of --listen.
func checkListen(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return usagef("--listen %q is no address: write HOST:PORT, such as %s", s, defaultListen)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return usagef("--listen %q: the port is a number from 0 to 65535", s)
	}
	return nil
}

// scaleFlags are --instances and --idle.
type scaleFlags struct{ pipeline.Scale }

// parseScale reads the values of --instances ("2", "0..4") and --idle.
func parseScale(instances string, idle time.Duration) (scaleFlags, error) {
	least, most, err := workflow.ParseInstances(cmp.Or(instances, "1"))
	switch {
	case err != nil:
		return scaleFlags{}, usagef("--instances %q: %v", instances, err)
	case idle <= 0:
		return scaleFlags{}, usagef("--idle %v: give a positive duration such as 30s", idle)
	}
	return scaleFlags{pipeline.Scale{Min: least, Max: most, Idle: idle}}, nil
}

// or takes the project's where a flag is not given.
func (s scaleFlags) or(p workflow.Scale, given func(flag string) bool) scaleFlags {
	if p.Most > 0 && !given("instances") {
		s.Min, s.Max = p.Least, p.Most
	}
	if p.Idle > 0 && !given("idle") {
		s.Idle = p.Idle
	}
	return s
}

// detached are the flags of the process that stays, for which the plan is made.
func (f *planFlags) detached(s scaleFlags) []string {
	flags := []string{"--instances", fmt.Sprintf("%d..%d", s.Min, s.Max), "--idle", s.Idle.String()}
	if f.concurrency > 0 {
		flags = append(flags, "--concurrency", strconv.Itoa(f.concurrency))
	}
	return flags
}

// asksForPlan says whether a flag asks for a plan other than the one there is.
func (f *planFlags) asksForPlan(cmd *cobra.Command) bool {
	return slices.ContainsFunc([]string{"slo", "model", "fresh", "runs", "tracer", "calibration"}, cmd.Flags().Changed)
}
