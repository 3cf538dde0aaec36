package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/wrap"
)

const usage = `Runs one wrap: the agent that serves the bundle in DIR until SIGTERM, then
finishes the requests inside. Targets start it; you rarely need to.
Its log, one JSON object a line with what the functions print, is standard error.

Usage:
  chiron-agent DIR --listen ADDRESS [flags]

Example:
  chiron-agent .chiron/bundles/wrap-1 --listen 127.0.0.1:9001 \
      --peer wrap-2=unix:///run/wrap-2.sock

Flags:
`

// flags are the command line.
type flags struct {
	listen, workDir          string
	planDir, wrap            string
	functionsGroup, memGroup string
	dataLimit                int64
	processLimit             int
	peers                    []string
	cpus                     string
	leash, verbose           bool
	concurrency, queue       int
	maxBody                  int64
	grace, linger, timeout   time.Duration
	interpreter, template    string
	join, passEnv            []string
}

// peersVariable gives what --peer does, with commas, on platforms that set
// variables of a container but not its arguments.
const peersVariable = "CHIRON_PEERS"

// set is the flags as they are parsed, into f.
func (f *flags) set() *pflag.FlagSet {
	set := pflag.NewFlagSet("chiron-agent", pflag.ContinueOnError)
	set.StringVar(&f.listen, "listen", "", "`address`: 127.0.0.1:8080, tcp://HOST:PORT or unix:///PATH (needed)")
	set.StringVar(&f.planDir, "plan", "", "`folder` with another plan (plan.json, workflow.asl.json) to run with\nthe bundle's functions")
	set.StringVar(&f.wrap, "wrap", "", "`name` of the wrap of --plan to run")
	set.StringArrayVar(&f.peers, "peer", nil, "another wrap's address, as `NAME=ADDRESS`; once for each;\ndefault: $"+peersVariable+", with commas")
	set.StringVar(&f.cpus, "cpus", "", "the machine's CPUs to use, as `0,2-3`; default: those of this process")
	set.BoolVar(&f.leash, "leash", false, "end, and kill everything below, when standard input ends")
	set.IntVar(&f.concurrency, "concurrency", 0, "most requests worked on at once; 0: the bundle's, or "+strconv.Itoa(wrap.DefaultConcurrency))
	set.IntVar(&f.queue, "queue", wrap.DefaultQueue, "most requests that wait; more are answered 429")
	set.Int64Var(&f.maxBody, "max-body", wrap.DefaultMaxBody, "largest request body, `bytes`")
	set.DurationVar(&f.grace, "grace", wrap.DefaultGracePeriod, "how long requests may take to end after SIGTERM")
	set.DurationVar(&f.linger, "linger", 0, "how long after SIGTERM requests are still taken")
	set.DurationVar(&f.timeout, "timeout", 0, "most that a request may take; 0: no bound but the functions' own")
	set.StringVar(&f.functionsGroup, "functions-group", "", "control group `folder` of the functions' processes")
	set.StringVar(&f.memGroup, "memory-group", "", "control group `folder` of the memory limit; default: the own one")
	set.Int64Var(&f.dataLimit, "data-limit", 0, "private memory of each process of functions, `bytes`; 0: no bound")
	set.IntVar(&f.processLimit, "process-limit", 0, "processes and threads that functions may add; 0: no bound")
	set.StringArrayVar(&f.passEnv, "pass-env", nil, "`variable` of this environment that functions get; once for each")
	set.StringVar(&f.workDir, "workdir", "", "the functions' current `folder`; default: a passing one")
	set.StringVar(&f.interpreter, "interpreter", "", "the bundle's interpreter, a `file`; default: it is looked for")
	set.StringVar(&f.template, "template", "", "`socket` of a warm interpreter that the language host is forked of")
	set.StringArrayVar(&f.join, "join", nil, "cgroup.procs `file` that a forked host joins; once for each")
	set.BoolVarP(&f.verbose, "verbose", "v", false, "log more about what is going on")
	return set
}

// options reads a command line; pflag.ErrHelp says that it asks for help.
func (f *flags) options(set *pflag.FlagSet, args []string, env func(string) string) (wrap.Options, error) {
	if err := set.Parse(args); err != nil {
		return wrap.Options{}, err
	}
	switch set.NArg() {
	case 0:
		return wrap.Options{}, errors.New("DIR is missing")
	case 1:
	default:
		return wrap.Options{}, fmt.Errorf("one DIR is taken, and %q is one too many", set.Arg(1))
	}
	if len(f.peers) == 0 {
		f.peers = strings.FieldsFunc(env(peersVariable), func(r rune) bool { return r == ',' || r == ' ' })
	}
	o := wrap.Options{
		Dir: set.Arg(0), PlanDir: f.planDir, Wrap: f.wrap, Listen: f.listen, WorkDir: f.workDir,
		Concurrency: f.concurrency, Queue: f.queue, MaxBody: f.maxBody,
		GracePeriod: f.grace, Linger: f.linger, Timeout: f.timeout,
		FunctionsGroup: f.functionsGroup, MemoryGroup: f.memGroup, DataLimit: f.dataLimit, ProcessLimit: f.processLimit,
		Interpreter: f.interpreter, Template: host.TemplateRef{Socket: f.template, Join: f.join},
		Subreaper: true, // this process is the agent's alone
	}
	switch {
	case f.listen == "":
		return o, errors.New("--listen is missing: give the address to serve on, such as 127.0.0.1:9001")
	case f.planDir != "" && f.wrap == "":
		return o, fmt.Errorf("--plan %s: name the wrap of that plan to run, with --wrap", f.planDir)
	case f.wrap != "" && f.planDir == "":
		return o, fmt.Errorf("--wrap %s: name the folder of the plan that it is of, with --plan", f.wrap)
	case f.concurrency < 0:
		return o, fmt.Errorf("--concurrency %d: give a positive number, or 0 for the default", f.concurrency)
	case f.dataLimit < 0 || f.processLimit < 0:
		return o, fmt.Errorf("--data-limit %d, --process-limit %d: give positive numbers, or 0 for no bound", f.dataLimit, f.processLimit)
	case f.maxBody < 0:
		return o, fmt.Errorf("--max-body %d: give a positive number of bytes", f.maxBody)
	}
	if _, _, err := wrap.ParseAddress(f.listen); err != nil {
		return o, fmt.Errorf("--listen: %w", err)
	}
	if f.queue == 0 {
		o.Queue = -1 // wrap.Options has 0 for its default
	}
	o.Peers = make(map[string]string)
	for _, p := range f.peers {
		name, address, err := wrap.ParsePeer(p)
		if err != nil {
			return o, fmt.Errorf("--peer: %w", err)
		}
		if o.Peers[name] != "" {
			return o, fmt.Errorf("--peer: %s is given twice", name)
		}
		o.Peers[name] = address
	}
	o.Env = f.passed()
	var err error
	if o.CPUs, err = parseCPUs(f.cpus); err != nil {
		return o, fmt.Errorf("--cpus: %w", err)
	}
	if f.leash {
		o.Leash = os.Stdin
	}
	return o, nil
}

// passed are the variables of this environment that functions are to find in
// theirs; their values must not be seen on a command line.
func (f *flags) passed() []string {
	var env []string
	for _, name := range f.passEnv {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
