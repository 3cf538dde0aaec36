package main

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/pflag"

	"github.com/chiron-faas/chiron/deploy/kubernetes"
	"github.com/chiron-faas/chiron/deploy/kubernetes/controller"
)

const usage = `Plans the Workflow resources of a Kubernetes cluster and runs them, until SIGTERM.
What it runs goes on without it. Its log, one JSON object a line, is standard error.

Usage:
  chiron-controller [flags]

Example:
  kubectl apply -k deploy/kubernetes/base
  chiron-controller --kubeconfig ~/.kube/config --calibration calibration.json --no-election

Flags:
`

// flags are the command line.
type flags struct {
	access          kubernetes.Access
	watch           string
	calibration     string
	health, metrics string
	noElection      bool
	electionIn      string
	workers         int
	startTimeout    time.Duration
	retryAfter      time.Duration
	drain           time.Duration
	verbose         bool
}

// off is the address of what is not to be served.
const off = "off"

// set is the flags as they are parsed, into f.
func (f *flags) set() *pflag.FlagSet {
	set := pflag.NewFlagSet("chiron-controller", pflag.ContinueOnError)
	set.StringVar(&f.access.Kubeconfig, "kubeconfig", "", "`file` that says which cluster; default: $KUBECONFIG,\n~/.kube/config, or the cluster that this runs in")
	set.StringVar(&f.access.Context, "context", "", "the `name` of the file's context; default: its current one")
	set.StringVar(&f.watch, "namespace", "", "the one `namespace` whose Workflows are run; default: all")
	set.StringVar(&f.calibration, "calibration", "", "`file` with the nodes' constants, as chiron calibrate\nwrites it, for Workflows that name none")
	set.StringVar(&f.health, "health", "127.0.0.1:8081", "`address` of /healthz and /readyz; "+off+": none\n")
	set.StringVar(&f.metrics, "metrics", "127.0.0.1:8080", "`address` of /metrics, for Prometheus; "+off+": none\n")
	set.BoolVar(&f.noElection, "no-election", false, "work without asking whether another controller does")
	set.StringVar(&f.electionIn, "election-namespace", "", "`namespace` of the lease that says which of several\ncontrollers works; default: this one's own")
	set.IntVar(&f.workers, "workers", 4, "`number` of Workflows that are planned at once")
	set.DurationVar(&f.startTimeout, "start-timeout", controller.DefaultStartTimeout, "how long a new plan may take to come up before the\nearlier one is kept instead")
	set.DurationVar(&f.retryAfter, "retry-after", controller.DefaultRetryAfter, "how long after that it is tried again; twice as long\neach time")
	set.DurationVar(&f.drain, "drain", controller.DefaultDrain, "how long an earlier plan is kept after requests go to\nthe new one")
	set.BoolVarP(&f.verbose, "verbose", "v", false, "log more about what is going on")
	return set
}

// parse reads a command line; pflag.ErrHelp says that it asks for help.
func (f *flags) parse(set *pflag.FlagSet, args []string) error {
	if err := set.Parse(args); err != nil {
		return err
	}
	if set.NArg() > 0 {
		return fmt.Errorf("%q: no argument is taken", set.Arg(0))
	}
	for _, a := range []struct{ name, address string }{{"health", f.health}, {"metrics", f.metrics}} {
		if a.address == off {
			continue
		}
		if _, _, err := net.SplitHostPort(a.address); err != nil {
			return fmt.Errorf("--%s %q: give HOST:PORT, or %s", a.name, a.address, off)
		}
	}
	if f.workers < 1 {
		return fmt.Errorf("--workers %d: give a positive number", f.workers)
	}
	if f.startTimeout <= 0 || f.retryAfter <= 0 || f.drain <= 0 {
		return errors.New("--start-timeout, --retry-after and --drain: give positive durations")
	}
	return nil
}
